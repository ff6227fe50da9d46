import { Redis } from 'ioredis';
import { type RedisServer, redisServer, startRedis, TcpProxy } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { SessionStoreError } from '../../src/errors.ts';
import type { RedisDriver } from '../../src/redis/redis-driver.ts';
import { clientOf, collect, KEY, makeDriver, newRecord } from './redis-harness.ts';

const PATCH = { kind: 'content', set: { serverId: '"a"' }, unset: [] } as const;

/** Every method that asks the server, and whether it writes. */
const CALLS: Record<string, { writes: boolean; run: (driver: RedisDriver) => Promise<unknown> }> = {
  init: { writes: false, run: (driver) => driver.init() },
  insert: { writes: true, run: (driver) => driver.insert(newRecord()) },
  patch: { writes: true, run: (driver) => driver.patch(KEY, PATCH) },
  read: { writes: false, run: (driver) => driver.read(KEY, []) },
  readUser: { writes: false, run: (driver) => driver.readUser('user', { fields: [], limit: 9, after: undefined }) },
  listIds: { writes: false, run: (driver) => driver.listIds('user') },
  remove: { writes: true, run: (driver) => driver.remove(KEY) },
  acquireLease: { writes: true, run: (driver) => driver.acquireLease(KEY, 'token', 1_000) },
  releaseLease: { writes: true, run: (driver) => driver.releaseLease(KEY, 'token') },
  scan: { writes: false, run: (driver) => collect(driver.scan()) },
  sweep: { writes: false, run: (driver) => driver.sweep() },
  clear: { writes: false, run: (driver) => driver.clear() },
  ping: { writes: false, run: (driver) => driver.ping() },
};

async function failures(driver: RedisDriver): Promise<Record<string, unknown>> {
  const entries = Object.entries(CALLS).map(async ([name, { run }]) => {
    const error = await run(driver).then(
      () => 'no error',
      (error: unknown) => error,
    );
    return [name, SessionStoreError.is(error) ? [error.code, error.outcome] : error];
  });
  return Object.fromEntries(await Promise.all(entries));
}

function allUnavailable(outcome: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(CALLS).map(([name, { writes }]) => [name, ['unavailable', writes ? outcome : undefined]]),
  );
}

describeWith(redisServer, 'redis faults', () => {
  let server: RedisServer;
  let client: Redis;

  beforeAll(async () => {
    server = await startRedis({ settings: { appendonly: 'yes', appendfsync: 'always' } });
    client = clientOf(server.url);
  });
  beforeEach(async () => {
    await client.flushall();
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
  });

  it('redis/faults/noscript: scripts are sent again after SCRIPT FLUSH', async () => {
    const driver = makeDriver(client);
    await driver.insert(newRecord());
    await client.script('FLUSH');
    expect(await driver.patch(KEY, PATCH)).toHaveProperty('version');
    await client.script('FLUSH');
    expect(await driver.listIds('user')).toEqual(['session']);
    await client.script('FLUSH');
    expect(await driver.remove(KEY)).toBe('ok');
  });

  it('redis/faults/down-at-start: every call is refused, and works when the server is there', async () => {
    const other = await startRedis();
    await other.kill();
    const late = clientOf(other.url, { lazyConnect: true });
    const driver = makeDriver(late, { operationTimeoutMs: 2_000 });
    expect(await failures(driver)).toEqual(allUnavailable('not-applied'));
    await expect(driver.insert(newRecord())).rejects.toMatchObject({
      message: 'Storage backend redis is unavailable: create timed out after 2000 ms',
      cause: { message: expect.stringContaining('ECONNREFUSED') },
    });
    await other.start();
    const patient = makeDriver(late);
    await patient.init();
    expect(await patient.insert(newRecord())).toBe('ok');
    late.disconnect();
    await other.stop();
  });

  it('redis/faults/frozen: a server that says nothing is given up in time, and nothing is applied later', async () => {
    const driver = makeDriver(client, { operationTimeoutMs: 1_000 });
    await driver.init();
    await makeDriver(client).insert(newRecord({ sessionId: 'warms-up' }));
    server.freeze();
    expect(await failures(driver)).toEqual(allUnavailable('unknown'));
    // Their callers have gone: what still waits in the socket must not be written.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    server.thaw();
    expect(await client.ping()).toBe('PONG');
    expect(await driver.listIds('user')).toEqual([]);
    expect(await driver.insert(newRecord())).toBe('ok');
  });

  it('redis/faults/restart: calls during a restart wait for it', async () => {
    const driver = makeDriver(client);
    await driver.insert(newRecord());
    await server.kill();
    const waiting = [driver.patch(KEY, PATCH), driver.read(KEY, []), driver.listIds('user')];
    await server.start();
    const [patched, read, ids] = await Promise.all(waiting);
    expect(patched).toHaveProperty('version');
    expect(read).toHaveProperty('version');
    expect(ids).toEqual(['session']);
  });

  it('redis/faults/loading: a server that loads is waited for, or not there', async () => {
    // It answers after each KiB that it has loaded, and each of these keys is one: LOADING comes promptly.
    const settings = { 'loading-process-events-interval-bytes': 1_024, rdbcompression: 'no' };
    await using slow = await startRedis({ settings });
    const hasty = clientOf(slow.url);
    await makeDriver(hasty, { prefix: 'mcp:' }).insert(newRecord());
    const fill = `for n = 1, 5000 do redis.call('set', 'key-' .. n, string.rep('x', 1024)) end`;
    await slow.command('EVAL', fill, 0);
    // Microseconds for each key: it loads for ten seconds and more, unless it is told to hurry.
    await slow.command('CONFIG', 'SET', 'key-load-delay', 2_000);
    await slow.command('CONFIG', 'REWRITE');
    await slow.restart({ keepData: true, until: 'listening' });
    // Connected without a look at what the server is doing.
    const blind = new Redis(slow.url, { enableReadyCheck: false });
    blind.on('error', () => {});
    const impatient = makeDriver(blind, { prefix: 'mcp:', operationTimeoutMs: 2_000 });
    await expect(impatient.patch(KEY, PATCH)).rejects.toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
      cause: { message: expect.stringContaining('LOADING') },
    });
    const patched = makeDriver(blind, { prefix: 'mcp:', operationTimeoutMs: 20_000 }).patch(KEY, PATCH);
    await blind.config('SET', 'key-load-delay', 0);
    expect(await patched).toHaveProperty('version');
    for (const one of [hasty, blind]) one.disconnect();
  });

  it('redis/faults/killed-clients: connections that the server ends cost nothing', async () => {
    const driver = makeDriver(client);
    await driver.insert(newRecord());
    const start = (await driver.read(KEY, []))?.version ?? 0;
    let ended = false;
    const killing = (async () => {
      while (!ended) {
        await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    for (let n = 0; n < 200; n += 1) await driver.patch(KEY, { ...PATCH, set: { serverId: String(n) } });
    ended = true;
    await killing;
    const record = await driver.read(KEY, ['serverId']);
    expect(record?.fields.serverId).toBe('199');
    // Each was applied once, though some were sent twice.
    expect(record?.version).toBe(start + 200);
  });

  it('redis/faults/lost-answer: a write whose answer is lost is not applied twice', async () => {
    await using proxy = await TcpProxy.start({ host: server.host, port: server.port });
    const through = clientOf(proxy.url(server.url));
    const driver = makeDriver(through);
    await driver.init();
    const lost = async <T>(run: () => Promise<T>): Promise<T> => {
      const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('evalsha'));
      const result = await run();
      await swallowed;
      return result;
    };
    // Both servers and scripts are known, so that the lost answer is that of the write.
    await driver.insert(newRecord({ sessionId: 'other' }));
    await driver.patch({ ...KEY, sessionId: 'other' }, PATCH);
    await driver.acquireLease({ ...KEY, sessionId: 'other' }, 'token', 1_000);
    await driver.remove({ ...KEY, sessionId: 'other' });
    expect(await lost(() => driver.insert(newRecord()))).toBe('ok');
    const { version = 0 } = (await driver.read(KEY, [])) ?? {};
    expect(await lost(() => driver.patch(KEY, PATCH))).toEqual({ version: version + 1 });
    expect(await lost(() => driver.patch(KEY, { ...PATCH, ifVersion: version + 1 }))).toEqual({ version: version + 2 });
    expect(await lost(() => driver.acquireLease(KEY, 'token', 60_000))).toEqual({ version: version + 2 });
    expect(await lost(() => driver.remove(KEY))).toBe('missing');
    through.disconnect();
  });

  it('redis/faults/login: a wrong password is an error of configuration at once, and is not shown', async () => {
    await using closed = await startRedis({ settings: { requirepass: 'top-secret-password' } });
    const wrong = clientOf(closed.url.replace('top-secret', 'wrong'));
    const error = await makeDriver(wrong)
      .insert(newRecord())
      .catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'config', cause: { message: expect.stringContaining('WRONGPASS') } });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('password@');
    wrong.disconnect();
  });

  it('redis/faults/full: a server without memory refuses and has written nothing', async () => {
    await using full = await startRedis();
    const to = clientOf(full.url);
    const driver = makeDriver(to);
    await driver.insert(newRecord());
    await to.config('SET', 'maxmemory', '1');
    await expect(driver.insert(newRecord({ sessionId: 'b' }))).rejects.toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
    });
    await expect(driver.patch(KEY, PATCH)).rejects.toMatchObject({ outcome: 'not-applied' });
    await to.config('SET', 'maxmemory', '0');
    expect(await driver.listIds('user')).toEqual(['session']);
    to.disconnect();
  });

  it('redis/faults/ended: a client that its owner has ended is said so at once', async () => {
    const gone = clientOf(server.url);
    await gone.quit();
    // Whoever waits for that time does not end before the test does.
    const driver = makeDriver(gone, { operationTimeoutMs: 600_000 });
    expect(await failures(driver)).toEqual(allUnavailable('not-applied'));
  });

  it('redis/faults/clocks: the clock of the server counts, not that of the client', async () => {
    const { now } = Date;
    for (const offset of [-86_400_000, 86_400_000]) {
      Date.now = () => now() + offset;
      try {
        const driver = makeDriver(client, { prefix: `clock${offset}:` });
        expect(await driver.insert(newRecord({ createdAt: now() }))).toBe('ok');
        expect(await driver.patch(KEY, PATCH)).toHaveProperty('version');
        expect(Math.abs(((await driver.read(KEY, []))?.updatedAt ?? 0) - now())).toBeLessThan(5_000);
      } finally {
        Date.now = now;
      }
    }
  });
});
