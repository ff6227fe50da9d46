import { env } from 'cloudflare:workers';
import { infoSessionManagerSuite } from '@tmcp/session-manager/testing';
import { expect, test } from 'vitest';
import { KVInfoSessionManager } from '../../src/index.ts';

let backends = 0;

// The local KV is consistent: what the 60 s window of the real one does to these promises cannot be shown here.
infoSessionManagerSuite({
  name: 'Workers KV',
  without: [
    // KV does not promise to show what was written elsewhere.
    'info/fresh-reads',
    // KV keeps what was written for 60 s at least, and reading does not prolong it.
    'info/sliding-ttl',
  ],
  setUp: async () => {
    backends += 1;
    const backend = `kv-${backends}`;
    return {
      open: ({ namespace = 'shared', ...options }) =>
        new KVInfoSessionManager({ ...options, namespace: `${backend}/${namespace}` }),
      cleanUp: async () => undefined,
    };
  },
});

test('kv/published: what 0.3.0 wrote is read, and goes with its session', async () => {
  const kv = env.TMCP_SESSION_INFO;
  await kv.put('tmcp:client_info:old', JSON.stringify({ name: 'client', version: '1' }));
  await kv.put('tmcp:client_capabilities:old', JSON.stringify({ sampling: {} }));
  await kv.put('tmcp:log_level:old', JSON.stringify('debug'));
  await kv.put(`tmcp:subscriptions:mem://a:${crypto.randomUUID()}`, 'old');
  await kv.put(`tmcp:subscriptions:mem://a:b:${crypto.randomUUID()}`, 'other');
  const info = new KVInfoSessionManager();
  expect(await info.getClientInfo('old')).toEqual({ name: 'client', version: '1' });
  expect(await info.getClientCapabilities('old')).toEqual({ sampling: {} });
  expect(await info.getLogLevel('old')).toBe('debug');
  expect(await info.getSubscriptions('mem://a')).toEqual(['old']);
  await info.setLogLevel('old', 'error');
  expect(await info.getLogLevel('old')).toBe('error');
  await info.removeSubscription('old', 'mem://a');
  expect(await info.getSubscriptions('mem://a')).toEqual([]);
  expect(await info.getSubscriptions('mem://a:b')).toEqual(['other']);
  await info.delete('old');
  await expect(info.getClientInfo('old')).rejects.toMatchObject({ code: 'not-found' });
  expect(await kv.get('tmcp:client_info:old')).toBe(null);
});

test('kv/pages: subscribers are listed beyond the page of 1,000 that KV gives at once', async () => {
  const info = new KVInfoSessionManager({ namespace: 'kv/pages', sendTimeoutMs: 60_000 });
  const ids = Array.from({ length: 1_005 }, (_, index) => `s${index}`);
  await Promise.all(ids.map((id) => info.addSubscription(id, 'mem://a')));
  expect((await info.getSubscriptions('mem://a')).sort()).toEqual(ids.sort());
});
