import { randomUUID } from 'node:crypto';
import { type KitRedis, kitRedis } from 'test-support';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RedisConnection } from '../../src/redis-connection.ts';
import { RedisInfoStore } from '../../src/redis-info-store.ts';

describe('a machine that slept', () => {
  let redis: KitRedis;
  beforeAll(async () => {
    redis = await kitRedis();
  });
  afterAll(() => redis.stop());

  it('server-clock/slept: what it writes afterwards counts as written then', async () => {
    const namespace = randomUUID();
    const open = (): RedisInfoStore =>
      new RedisInfoStore({
        connection: new RedisConnection({ url: redis.url }),
        namespace,
        infoTtlMs: 600_000,
        sendTimeoutMs: 10_000,
        onError: (error) => expect.unreachable(error.message),
      });
    const [slept, other] = [open(), open()];
    await slept.write('s', 'clientInfo', '{"before":1}', () => 0);
    await other.delete('s', () => 0);
    // Its own clock stood still meanwhile, the server's went on.
    const clock = performance.now.bind(performance);
    const awake = vi.spyOn(performance, 'now').mockImplementation(() => clock() - 10_000);
    try {
      await slept.write('s', 'logLevel', '"debug"', () => 0);
      await slept.write('s', 'clientInfo', '{"late":1}', () => 10_000);
    } finally {
      awake.mockRestore();
    }
    expect(await other.read('s')).toEqual({
      logLevel: '"debug"',
      clientInfo: undefined,
      clientCapabilities: undefined,
    });
    await Promise.all([slept.close(), other.close()]);
  });
});
