import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import { DurableObjectInfoSessionManager } from '../../src/index.ts';

test('unreachable/post: the three reads of a POST share one deadline while their shard does not answer', async () => {
  const objects = env.TMCP_DURABLE_OBJECT;
  let isAway = false;
  const silent = { getInfo: () => new Promise<never>(() => undefined) };
  const binding = {
    idFromName: (name: string) => objects.idFromName(name),
    get: (id: DurableObjectId) => (isAway ? silent : objects.get(id)),
  } as unknown as DurableObjectNamespace;
  const info = new DurableObjectInfoSessionManager({ binding, namespace: 'unreachable', sendTimeoutMs: 1_000 });
  await info.setLogLevel('s', 'debug');

  isAway = true;
  // As the transport does: each is awaited, and a failure is nothing stored.
  const failures: unknown[] = [];
  const fail = (error: unknown): void => void failures.push(error);
  await info.getClientCapabilities('s').catch(fail);
  await info.getClientInfo('s').catch(fail);
  await info.getLogLevel('s').catch(fail);
  expect(failures).toMatchObject([{ code: 'timeout' }, { code: 'timeout' }, { code: 'timeout' }]);
  expect(info.stats()).toMatchObject({ reads: 1, failures: 1 });

  isAway = false;
  expect(await info.getLogLevel('s')).toBe('debug');
});
