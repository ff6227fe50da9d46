import { expect, it } from 'vitest';
import {
  BackplaneStreamSessionManager,
  createSessionSet,
  DeliveryNode,
  deliveryRules,
  InMemoryInfoSessionManager,
  InProcessBackplane,
  readOptions,
} from '../../src/index.ts';

it('set/namespace-again: a namespace whose set was closed can be opened again', async () => {
  let ended = 0;
  const settings = readOptions('test', undefined, deliveryRules);
  const set = createSessionSet({
    namespace: 'default',
    node: (namespace) => new DeliveryNode(new InProcessBackplane({ namespace }), settings),
    info: () => new InMemoryInfoSessionManager(),
    end: async () => {
      ended += 1;
    },
  });
  const first = set.namespace('other');
  expect(set.namespace('other')).toBe(first);
  await first.close();
  const second = set.namespace('other');
  expect(second).not.toBe(first);
  expect(await second.sessionManager.streams.has('session')).toBe(false);
  expect(second.sessionManager.streams).toBeInstanceOf(BackplaneStreamSessionManager);
  expect(ended).toBe(0);
  await set.close();
  await expect(second.sessionManager.streams.has('session')).rejects.toMatchObject({ code: 'closed' });
  expect(ended).toBe(1);
});
