import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import { DurableObjectInfoSessionManager } from '../../src/index.ts';
import type { InfoShard } from '../../src/protocol.ts';
import { gate } from './gate.ts';

test('info-late/on-its-way: a write that is held up on its way does not bring back a session that was deleted meanwhile', async () => {
  const namespace = 'info-late/on-its-way';
  const objects = env.TMCP_DURABLE_OBJECT;
  const way = gate();
  const stub = (id: DurableObjectId): InfoShard => objects.get(id) as unknown as InfoShard;
  const binding = {
    idFromName: (name: string) => objects.idFromName(name),
    get: (id: DurableObjectId) => ({
      setInfo: async (...args: Parameters<InfoShard['setInfo']>) => {
        await way.isOpen;
        return stub(id).setInfo(...args);
      },
    }),
  } as unknown as DurableObjectNamespace;
  const info = new DurableObjectInfoSessionManager({ namespace });
  const slow = (): DurableObjectInfoSessionManager => new DurableObjectInfoSessionManager({ binding, namespace });
  const written = [slow().setLogLevel('s', 'debug'), slow().addSubscription('s', 'mem://a')];
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await info.delete('s');
  way.open();
  await Promise.all(written);
  await expect(info.getLogLevel('s')).rejects.toMatchObject({ code: 'not-found' });
  expect(await info.getSubscriptions('mem://a')).toEqual([]);
});
