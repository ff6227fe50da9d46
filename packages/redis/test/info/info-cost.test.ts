import { randomUUID } from 'node:crypto';
import { HttpTransport } from '@tmcp/transport-http';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis, waitFor } from 'test-support';
import { McpServer } from 'tmcp';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { infoKeys } from '../../src/keys.ts';
import { RedisConnection } from '../../src/redis-connection.ts';
import { RedisInfoStore } from '../../src/redis-info-store.ts';
import { CLIENT, openInfo } from './info-harness.ts';
import { Traffic } from './traffic.ts';

let server: RedisServer;
let client: Redis;
beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.url);
});
afterAll(async () => {
  client.disconnect();
  await server.stop();
});
afterEach(async () => {
  await client.flushall();
});

const now = (): number => 0;

function post(body: object): Request {
  return new Request('http://localhost/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': 's',
    },
    body: JSON.stringify(body),
  });
}

describe('round trips', () => {
  it('info-cost/post: the three reads of a POST are one call', async () => {
    using traffic = await Traffic.of(server.url);
    const mcp = new McpServer(
      { name: 'server', version: '1', description: 'test' },
      { adapter: undefined, capabilities: { tools: {}, logging: {} } },
    );
    mcp.tool({ name: 'who', description: 'who calls' }, () => ({
      content: [{ type: 'text', text: JSON.stringify(mcp.ctx.sessionInfo) }],
    }));
    const info = openInfo({ url: server.url });
    const transport = new HttpTransport(mcp, { path: '/mcp', sessionManager: { info } });
    const call = async (method: string, params: object): Promise<string> =>
      (await (await transport.respond(post({ jsonrpc: '2.0', id: 1, method, params })))?.text()) ?? '';
    await call('initialize', { protocolVersion: '2025-06-18', capabilities: { roots: {} }, clientInfo: CLIENT });
    await call('logging/setLevel', { level: 'error' });
    expect(await info.getLogLevel('s')).toBe('error');
    for (let n = 0; n < 3; n += 1) {
      let answer = '';
      const commands = await traffic.during(async () => {
        answer = await call('tools/call', { name: 'who', arguments: {} });
      });
      expect(answer).toContain(String.raw`\"clientCapabilities\":{\"roots\":{}}`);
      expect(answer).toContain(String.raw`\"logLevel\":\"error\"`);
      expect(commands).toEqual(['evalsha']);
    }
    expect(info.codes).toEqual([]);
  });

  it('info-cost/write: every other call is one call, too', async () => {
    using traffic = await Traffic.of(server.url);
    const info = openInfo({ url: server.url });
    const calls = [
      () => info.setClientInfo('s', CLIENT),
      () => info.setLogLevel('s', 'info'),
      () => info.addSubscription('s', 'test://r'),
      () => info.getSubscriptions('test://r'),
      () => info.removeSubscription('s', 'test://r'),
      () => info.delete('s'),
    ];
    // Scripts are sent in full once, and the clock of the server is learned.
    for (const call of calls) await call();
    for (const call of calls) expect(await traffic.during(call)).toEqual(['evalsha']);
  });

  it('info-cost/renewal: reading a session that was used a moment ago writes nothing, one used earlier is renewed', async () => {
    using traffic = await Traffic.of(server.url);
    const { due } = infoKeys('tmcp', 'default');
    const info = openInfo({ url: server.url, infoTtlMs: 60_000 });
    await info.setClientInfo('reader', CLIENT);
    const before = Number(await client.zscore(due, 'reader'));
    const commands = await traffic.inScripts(async () => {
      for (let n = 0; n < 5; n += 1) await info.getClientInfo('reader');
    });
    expect(commands).toContain('hmget');
    expect(commands).not.toContain('zadd');
    // As if it was used three seconds earlier.
    await client.zadd(due, before - 3_000_000, 'reader');
    await info.getClientInfo('reader');
    expect(Number(await client.zscore(due, 'reader'))).toBeGreaterThan(before);
  });

  it('info-cost/delete: ends a session with the same work, however many others there are', async () => {
    using traffic = await Traffic.of(server.url);
    const info = openInfo({ url: server.url });
    const add = async (id: string): Promise<void> => {
      await info.setClientInfo(id, CLIENT);
      for (let i = 0; i < 3; i += 1) await info.addSubscription(id, `test://${i}`);
    };
    const work: string[][] = [];
    await add('other');
    for (const others of [0, 500]) {
      await Promise.all(Array.from({ length: others }, (_, i) => add(`other-${i}`)));
      await add('gone');
      work.push(await traffic.inScripts(() => info.delete('gone')));
    }
    expect(work[1]).toEqual(work[0]);
    expect(work.flat().filter((name) => ['keys', 'scan', 'hscan', 'zscan'].includes(name))).toEqual([]);
    expect(await info.getSubscriptions('test://1')).toHaveLength(501);
  });

  it('info-cost/many: ten thousand subscribers are listed in one call, each once', async () => {
    using traffic = await Traffic.of(server.url);
    const info = openInfo({ url: server.url, sendTimeoutMs: 25_000 });
    const ids = Array.from({ length: 10_000 }, () => randomUUID());
    await Promise.all(ids.map((id) => info.addSubscription(id, 'test://many')));
    await info.getSubscriptions('test://many');
    let found: string[] = [];
    const commands = await traffic.during(async () => {
      found = await info.getSubscriptions('test://many');
    });
    expect(found.sort()).toEqual(ids.sort());
    expect(commands).toEqual(['evalsha']);
  });
});

describe('what is left', () => {
  const keys = infoKeys('tmcp', 'n');
  const open = (infoTtlMs: number): RedisInfoStore =>
    new RedisInfoStore({
      connection: new RedisConnection({ url: server.url }),
      namespace: 'n',
      infoTtlMs,
      sendTimeoutMs: 10_000,
      onError: (error) => expect.unreachable(error.message),
    });
  const fill = async (store: RedisInfoStore, id: string): Promise<void> => {
    await store.write(id, 'clientInfo', '{}', now);
    await store.write(id, 'logLevel', '"debug"', now);
    await store.subscribe(id, 'test://r', now);
    await store.subscribe(id, 'test://s', now);
  };

  it('info-left/deleted: of a deleted session nothing but when that was', async () => {
    const store = open(600_000);
    await fill(store, 's');
    await store.delete('s', now);
    expect((await client.keys('*')).sort()).toEqual([keys.session('s'), keys.due].sort());
    expect(Object.keys(await client.hgetall(keys.session('s')))).toEqual(['ended']);
    // For at least an hour, on the clock of the server.
    const remembered = Number(await client.zscore(keys.due, 's')) / 1_000 - Date.now();
    expect(remembered).toBeGreaterThan(3_590_000);
    expect(remembered).toBeLessThan(3_610_000);
    await store.close();
  });

  it('info-left/unsubscribed: of a session that only subscribed, and gave that up, nothing', async () => {
    const store = open(600_000);
    await store.subscribe('s', 'test://r', now);
    await store.unsubscribe('s', 'test://r', now);
    expect(await client.keys('*')).toEqual([]);
    await store.close();
  });

  it('info-left/expired: what expired is removed in steps by whoever writes, and nothing else', async () => {
    const [short, long] = [open(1), open(60_000)];
    await fill(long, 'kept');
    await long.delete('deleted', now);
    for (let i = 0; i < 250; i += 1) await fill(short, `expired-${i}`);
    // As if its hour was over.
    await long.delete('long-ago', () => 3_700_000);
    await client.zadd(keys.due, String(Date.now() * 1_000 - 1), 'long-ago');
    const removed = await Promise.all([short.removeExpired(), long.removeExpired()]);
    expect(removed.reduce((sum, count) => sum + count)).toBe(251);
    expect((await client.zrange(keys.due, '0', '-1')).sort()).toEqual(['deleted', 'kept']);
    expect((await client.keys('*')).sort()).toEqual(
      [keys.due, keys.subscribers, keys.uris, keys.session('kept'), keys.session('deleted')].sort(),
    );
    expect(await client.zcard(keys.subscribers)).toBe(2);
    expect((await client.hvals(keys.uris)).sort()).toEqual(['test://r', 'test://s']);
    await Promise.all([short.close(), long.close()]);
  });

  it('info-left/on-the-way: about once a minute a process that writes removes what others left', async () => {
    const short = open(1);
    for (let i = 0; i < 5; i += 1) await fill(short, `left-${i}`);
    await short.close();
    const store = open(60_000);
    const clock = performance.now.bind(performance);
    const later = vi.spyOn(performance, 'now').mockImplementation(() => clock() + 61_000);
    try {
      await store.write('writer', 'logLevel', '"info"', now);
      await waitFor(async () => (await client.zcard(keys.due)) === 1);
      expect((await client.keys('*')).sort()).toEqual([keys.due, keys.session('writer')].sort());
      const other = open(1);
      await fill(other, 'left');
      await store.write('writer', 'logLevel', '"info"', now);
      await Promise.all([store.close(), other.close()]);
      expect(await client.zcard(keys.due)).toBe(2);
    } finally {
      later.mockRestore();
    }
  });

  it('info-left/deletion-outlives: a deletion is remembered when the session that came after it has expired', async () => {
    const store = open(1);
    await store.delete('s', now);
    await fill(store, 's');
    await waitFor(async () => (await store.removeExpired()) === 1);
    expect(Object.keys(await client.hgetall(keys.session('s')))).toEqual(['ended']);
    await store.write('s', 'clientInfo', '{}', () => 60_000);
    expect(await client.hexists(keys.session('s'), 'value:clientInfo')).toBe(0);
    await store.close();
  });

  it('info-left/no-ttl: no key goes by itself, and so none leaves another one behind', async () => {
    const store = open(600_000);
    await fill(store, 's');
    await store.delete('deleted', now);
    for (const key of await client.keys('*')) expect(await client.pttl(key)).toBe(-1);
    await store.close();
  });

  it('info-left/uri-text: two URIs are never taken for one, whatever their hash', async () => {
    const store = open(600_000);
    await store.subscribe('s', 'test://r', now);
    const [hash = ''] = await client.hkeys(keys.uris);
    await client.hset(keys.uris, hash, 'test://another');
    expect(await store.subscribers('test://r')).toEqual([]);
    await expect(store.subscribe('t', 'test://r', now)).rejects.toMatchObject({ code: 'refused' });
    await store.unsubscribe('s', 'test://r', now);
    expect(await client.zcard(keys.subscribers)).toBe(1);
    await store.close();
  });
});
