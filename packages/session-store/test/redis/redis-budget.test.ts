import type { Redis } from 'ioredis';
import { type RedisServer, redisServer, startRedis } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RedisClient } from '../../src/redis/redis-client.ts';
import type { RedisDriver } from '../../src/redis/redis-driver.ts';
import { clientOf, collect, KEY, makeDriver, newRecord } from './redis-harness.ts';

const WRITES: Readonly<Record<string, (driver: RedisDriver) => Promise<unknown>>> = {
  insert: (driver) => driver.insert(newRecord()),
  patch: (driver) => driver.patch(KEY, { kind: 'content', set: { serverId: '"a"' }, unset: [] }),
  acquireLease: (driver) => driver.acquireLease(KEY, 'token', 60_000),
  releaseLease: (driver) => driver.releaseLease(KEY, 'token'),
  remove: (driver) => driver.remove(KEY),
};

describeWith(redisServer, 'redis round trips', () => {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await startRedis();
    client = clientOf(server.url);
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
  });

  it('redis/budget: one for a write, two for a list of 1,000, no record read for all ids', async () => {
    const { client: counted, trips } = counting(client);
    const driver = makeDriver(counted);
    await driver.init();
    const ids = Array.from({ length: 1_000 }, (_, n) => `session-${n}`);
    await Promise.all(ids.map((sessionId) => driver.insert(newRecord({ sessionId }))));
    const list = () => driver.readUser('user', { fields: ['serverUrl'], limit: 1_000, after: undefined });
    expect(await trips(list)).toBe(2);
    expect((await list()).records).toHaveLength(1_000);
    const commands = await commandsOf(server, () => collect(driver.scan()));
    expect(Object.keys(commands)).toEqual(['scan']);
    // The first of each sends the script itself.
    for (const run of Object.values(WRITES)) await run(driver);
    for (const [name, run] of Object.entries(WRITES)) {
      expect([name, await trips(() => run(driver))]).toEqual([name, 1]);
    }
    expect(await trips(() => driver.read(KEY, ['tokens']))).toBe(1);
  });
});

/** What the server counts, but for what this asks itself; calls in scripts count as well. */
async function commandsOf(server: RedisServer, run: () => Promise<unknown>): Promise<Record<string, number>> {
  await server.command('CONFIG', 'RESETSTAT');
  await run();
  const stats = String(await server.command('INFO', 'commandstats'));
  const counts = [...stats.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)].map(([, name, calls]) => [name, Number(calls)]);
  const own = new Set(['config|resetstat', 'info', 'hello', 'client|setinfo', 'client|setname', 'command']);
  return Object.fromEntries(counts.filter(([name]) => !own.has(String(name))));
}

/** A client that counts how often an answer is waited for; a pipeline is sent at once, and counts once. */
function counting(client: Redis): {
  readonly client: RedisClient;
  trips(run: () => Promise<unknown>): Promise<number>;
} {
  let trips = 0;
  const counted: RedisClient = {
    get status() {
      return client.status;
    },
    options: client.options,
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    on: (event, listener) => client.on(event, listener),
    off: (event, listener) => client.off(event, listener),
    call: (command, ...args) => {
      trips += 1;
      return client.call(command, ...args);
    },
    pipeline: (commands) => {
      trips += 1;
      return client.pipeline(commands);
    },
  };
  return {
    client: counted,
    async trips(run) {
      const before = trips;
      await run();
      return trips - before;
    },
  };
}
