import { expect, it } from 'vitest';
import {
  type AppendAnswer,
  BackplaneStreamSessionManager,
  type Batch,
  createSessionSet,
  DeliveryNode,
  deliveryRules,
  InMemoryInfoSessionManager,
  InProcessBackplane,
  readOptions,
  SessionError,
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

class CutOffBackplane extends InProcessBackplane {
  isAway = false;

  override append(batch: Batch): Promise<AppendAnswer> {
    if (this.isAway) return Promise.reject(new SessionError('unavailable', 'away'));
    return super.append(batch);
  }
}

it('set/close-away: closing takes one deadline while the backend is away, not one for each manager', async () => {
  const sendTimeoutMs = 700;
  const settings = readOptions('test', { sendTimeoutMs, onError: () => undefined }, deliveryRules);
  const backplane = new CutOffBackplane();
  const set = createSessionSet({
    namespace: 'default',
    node: () => new DeliveryNode(backplane, settings),
    info: () => new InMemoryInfoSessionManager(),
    end: async () => undefined,
  });
  const { streams } = set.sessionManager;
  await new Promise<void>((opened, failed) => {
    new ReadableStream({ start: (controller) => streams.create('session', controller).then(opened, failed) });
  });
  await streams.publish(['session'], 'data: 1\n\n');
  await expect.poll(() => streams.stats().delivered).toBe(1);
  backplane.isAway = true;
  void set.subscriptionManager.send({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  const before = performance.now();
  await set.close();
  expect(performance.now() - before).toBeLessThan(sendTimeoutMs * 1.8);
});
