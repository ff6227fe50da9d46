import type { Redis } from 'ioredis';
import { type RedisServer, redisServer, startRedis, waitFor } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SessionStoreError } from '../../src/errors.ts';
import { clientOf, collect, makeDriver, newRecord } from './redis-harness.ts';

const ROUNDS = 20;
const WRITERS = 16;

describeWith(redisServer, 'redis: a server that is killed while many write', () => {
  let server: RedisServer;
  let client: Redis;

  beforeAll(async () => {
    // With `everysec` Redis answers before it has written when the disk is busy with the second before.
    server = await startRedis({ settings: { appendonly: 'yes', appendfsync: 'always' } });
    client = clientOf(server.url);
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
  });

  it('redis/crash: nothing acknowledged is lost, nothing is applied twice, index and records agree', async () => {
    const prefix = 'crash:';
    const driver = makeDriver(client, { prefix });
    const expected = new Map<string, { patches: number; version: number; value: string }>();
    const removed = new Set<string>();
    let acknowledged = 0;
    let ended = false;

    async function write(writer: number): Promise<void> {
      const userId = `user-${writer % 4}`;
      for (let n = 0; !ended; n += 1) {
        const key = { userId, sessionId: `${writer}-${n}` };
        expect(await driver.insert(newRecord(key))).toBe('ok');
        const { version = 0 } = (await driver.read(key, [])) ?? {};
        for (let patches = 1; patches <= 3; patches += 1) {
          const result = await driver.patch(key, { kind: 'content', set: { serverId: `${patches}` }, unset: [] });
          // Sent twice by us or by ioredis, it counts once.
          expect(result).toEqual({ version: version + patches });
          acknowledged += 1;
          expected.set(key.sessionId, { patches, version: version + patches, value: `${patches}` });
        }
        if (n % 3 !== 0) continue;
        expect(await driver.remove(key)).not.toBe('conflict');
        expected.delete(key.sessionId);
        removed.add(key.sessionId);
      }
    }

    const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer));
    const failed = Promise.all(writers);
    for (let round = 0; round < ROUNDS; round += 1) {
      const enough = acknowledged + 5 + Math.random() * 200;
      await Promise.race([failed, waitFor(() => acknowledged >= enough, { intervalMs: 1 })]);
      await server.kill();
      await server.start();
    }
    ended = true;
    await failed;

    const found = new Map<string, number>();
    for (const key of await collect(driver.scan())) {
      const record = await driver.read(key, ['serverId']);
      found.set(key.sessionId, record?.version ?? 0);
      expect([key.sessionId, record?.fields.serverId]).toEqual([key.sessionId, expected.get(key.sessionId)?.value]);
    }
    expect(found).toEqual(new Map([...expected].map(([id, { version }]) => [id, version])));
    expect(found.size).toBeGreaterThan(ROUNDS);
    expect(removed.size).toBeGreaterThan(0);
    for (let user = 0; user < 4; user += 1) {
      const index = `${prefix}{${Buffer.from(`user-${user}`).toString('base64url')}}:idx`;
      const indexed = (await client.call('zrange', index, 0, -1)) as string[];
      expect([...indexed].sort()).toEqual(
        [...found.keys()].filter((id) => Number(id.split('-')[0]) % 4 === user).sort(),
      );
    }
    await driver.clear();
    expect(await client.dbsize()).toBe(0);
  }, 90_000);

  it('redis/crash-unclear: with no time to find out, a write says that nobody knows', async () => {
    const driver = makeDriver(client, { operationTimeoutMs: 300 });
    await driver.init();
    await driver.insert(newRecord());
    server.freeze();
    const waiting = driver.insert(newRecord({ sessionId: 'other' })).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await server.kill();
    const error = await waiting;
    expect(SessionStoreError.is(error) && [error.code, error.outcome]).toEqual(['unavailable', 'unknown']);
    await server.start();
    expect(await makeDriver(client).insert(newRecord())).toBe('ok');
  });
});
