import { inspect } from 'node:util';
import { type RedisServer, redisServer, startRedis, TcpProxy } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SessionStoreError } from '../../src/errors.ts';
import { createRedisStorageBackend } from '../../src/redis/index.ts';
import type { Session } from '../../src/session.ts';

const PASSWORD = 'SECRET-password';

const SESSION: Session = {
  userId: 'user',
  sessionId: 'session',
  serverUrl: 'https://server',
  callbackUrl: 'https://callback',
  transportType: 'sse',
  createdAt: Date.now(),
  tokens: { access_token: 'SECRET-token', token_type: 'Bearer' },
};

/** A backend on an address, as the environment makes it. */
describeWith(redisServer, 'redis: a connection of its own', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ settings: { requirepass: PASSWORD, appendonly: 'yes', appendfsync: 'always' } });
  });
  afterAll(() => server.stop());

  it('redis/owned-outage: is told of once, ends calls in time, and is over without a restart', async () => {
    const reports: SessionStoreError[] = [];
    const failures: unknown[] = [];
    const onError = (error: SessionStoreError): void => void reports.push(error);
    const store = await createRedisStorageBackend(server.url, { encryption: false, operationTimeoutMs: 500, onError });
    await store.create(SESSION);
    await server.kill();
    // After this the client knows that the connection is gone, and sends nothing.
    expect(await store.health()).toMatchObject({ ok: false, error: 'unavailable' });
    for (let n = 0; n < 3; n += 1)
      failures.push(await store.update('user', 'session', SESSION).catch((error) => error));
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'unavailable', outcome: 'not-applied', retryable: true });
      expect(inspect(failure, { depth: Infinity, showHidden: true })).not.toContain('SECRET');
    }
    expect(reports).toMatchObject([{ code: 'unavailable', severity: 'error' }]);
    await server.start();
    await expect.poll(async () => (await store.health()).ok, { timeout: 10_000 }).toBe(true);
    await store.update('user', 'session', { serverName: 'back' });
    expect((await store.get('user', 'session'))?.serverName).toBe('back');
    expect(inspect(reports, { depth: Infinity, showHidden: true })).not.toContain('SECRET');
    await store.clearAll();
    await store.disconnect();
  });

  it('redis/owned-cut: what was on its way when the connection broke is repeated at once, and applied once', async () => {
    await using proxy = await TcpProxy.start({ host: server.host, port: server.port });
    const store = await createRedisStorageBackend(proxy.url(server.url), {
      encryption: false,
      operationTimeoutMs: 600_000, // whoever waits for its end fails
      onError: () => {},
    });
    // The server knows all scripts: the answer that is lost is that of the call.
    await store.create({ ...SESSION, sessionId: 'other' });
    await store.update('user', 'other', { serverName: 'x' });
    await store.delete('user', 'other');
    const lost = async <T>(command: string, run: () => Promise<T>): Promise<T> => {
      const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes(command));
      const result = await run();
      await swallowed;
      return result;
    };
    await lost('evalsha', () => store.create(SESSION));
    const { version = 0 } = (await lost('hmget', () => store.get('user', 'session'))) ?? {};
    await lost('evalsha', () => store.update('user', 'session', { serverName: 'x' }, { ifVersion: version }));
    expect((await lost('evalsha', () => store.list('user'))).map((session) => session.version)).toEqual([version + 1]);
    await lost('evalsha', () => store.delete('user', 'session'));
    expect(await lost('scan', () => store.listAllIds())).toEqual([]);
    await store.disconnect();
  });

  it('redis/owned-half-open: a connection that says nothing any more is replaced by another', async () => {
    await using proxy = await TcpProxy.start({ host: server.host, port: server.port });
    const store = await createRedisStorageBackend(proxy.url(server.url), {
      encryption: false,
      operationTimeoutMs: 1_000,
      onError: () => {},
    });
    await store.create(SESSION);
    // As behind a firewall that has forgotten it: nothing passes, and nobody says so.
    proxy.connections[0]?.blackhole('both');
    await expect(store.get('user', 'session')).rejects.toMatchObject({ code: 'unavailable' });
    await expect.poll(async () => (await store.health()).ok, { timeout: 20_000 }).toBe(true);
    expect((await store.get('user', 'session'))?.sessionId).toBe('session');
    await store.clearAll();
    await store.disconnect();
  });

  it('redis/owned-late: a backend that is made before its server is there starts with a later call', async () => {
    await server.kill();
    const store = await createRedisStorageBackend(server.url, {
      encryption: false,
      operationTimeoutMs: 300,
      onError: () => {},
    });
    await expect(store.list('user')).rejects.toMatchObject({ code: 'unavailable' });
    await server.start();
    await expect.poll(async () => (await store.health()).ok, { timeout: 10_000 }).toBe(true);
    expect(await store.list('user')).toEqual([]);
    await store.disconnect();
  });

  it('redis/owned-refused: a wrong password is told without it, and a server that refuses shows no token', async () => {
    const wrong = server.url.replace(PASSWORD, 'SECRET-wrong');
    const store = await createRedisStorageBackend(wrong, { encryption: false, onError: () => {} });
    const refused = await store.create(SESSION).catch((error) => error);
    expect(refused).toMatchObject({
      code: 'config',
      message: 'The redis backend was refused by the server (WRONGPASS): check user, password and rights',
      outcome: 'not-applied',
    });
    expect(inspect(refused, { depth: Infinity, showHidden: true })).not.toContain('SECRET');
    await store.disconnect();

    await server.command('CONFIG', 'SET', 'maxmemory', 1);
    const full = await createRedisStorageBackend(server.url, { encryption: false, onError: () => {} });
    const refusal = await full.create(SESSION).catch((error) => error);
    await server.command('CONFIG', 'SET', 'maxmemory', 0);
    expect(refusal).toMatchObject({ code: 'unavailable', outcome: 'not-applied' });
    expect(inspect(refusal, { depth: Infinity, showHidden: true })).not.toContain('SECRET');
    await full.disconnect();
  });

  it('redis/owned-frozen: disconnect does not wait for a server that says nothing', async () => {
    const store = await createRedisStorageBackend(server.url, { encryption: false, onError: () => {} });
    await store.listIds('user');
    server.freeze();
    await store.disconnect();
    server.thaw();
  });
});
