import { type NodeProcess, type RedisServer, redisServer, spawnNode, startRedis } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RedisStorageBackend } from '../../src/redis/index.ts';
import { COMPILED } from '../compiled-programs.ts';
import { clientOf } from './redis-harness.ts';

const WRITERS = 8;
/** Of processes, at random moments. */
const KILLS = 64;

type Told = { created?: string; deleting?: string; deleted?: string; counted?: number };

describeWith(redisServer, 'redis: many processes on one server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  it('redis/killed-processes: nothing acknowledged is lost, nothing deleted comes back, locks become free', {
    timeout: 120_000,
  }, async () => {
    const client = clientOf(server.url);
    const store = new RedisStorageBackend(client, { encryption: '7c'.repeat(32) });
    await store.create({
      userId: 'shared',
      sessionId: 'counter',
      serverUrl: 'https://server',
      callbackUrl: 'https://callback',
      transportType: 'sse',
      status: 'active',
      createdAt: Date.now(),
      metadata: { count: 0 },
    });
    const [created, deleting, deleted] = [new Set<string>(), new Set<string>(), new Set<string>()];
    const counted: number[] = [];
    const endedByThemselves: string[] = [];
    const take = (message: unknown): boolean => {
      const told = message as Told;
      if (told.created !== undefined) created.add(told.created);
      if (told.deleting !== undefined) deleting.add(told.deleting);
      if (told.deleted !== undefined) deleted.add(told.deleted);
      if (told.counted !== undefined) counted.push(told.counted);
      return true;
    };
    let started = 0;
    async function start(): Promise<NodeProcess> {
      started += 1;
      const writer = await spawnNode(
        new URL('./programs/writer.ts', import.meta.url),
        [server.url, `w${started}`],
        COMPILED,
      );
      writer.onMessage(take);
      return writer;
    }

    const writers = await Promise.all(Array.from({ length: WRITERS }, start));
    try {
      await expect.poll(() => created.size, { timeout: 30_000 }).toBeGreaterThan(WRITERS);
      for (let kill = 0; kill < KILLS; kill += 1) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
        const victim = kill % WRITERS;
        const exit = await writers[victim]?.kill();
        if (exit?.signal !== 'SIGKILL') endedByThemselves.push(writers[victim]?.output ?? '');
        writers[victim] = await start();
      }
    } finally {
      await Promise.all(writers.map((writer) => writer.kill()));
    }
    expect(endedByThemselves).toEqual([]);

    const sessions = await store.list('writers', { includeCredentials: true });
    const present = new Set(sessions.map(({ sessionId }) => sessionId));
    expect([...created].filter((id) => !deleting.has(id) && !present.has(id))).toEqual([]);
    expect([...deleted].filter((id) => present.has(id))).toEqual([]);
    for (const { sessionId, tokens } of sessions) expect(tokens?.access_token).toBe(`token-of-${sessionId}`);
    // Whatever becomes of locks, the version guards the counter: no number is given twice.
    expect(new Set(counted).size).toBe(counted.length);
    expect(Number((await store.get('shared', 'counter'))?.metadata?.count)).toBeGreaterThanOrEqual(counted.length);
    expect(await store.withLock('shared', 'counter', async () => 'free', { waitMs: 5_000 })).toBe('free');
    expect((await store.listAllIds()).sort()).toEqual([...present, 'counter'].sort());
    await store.clearAll();
    // Leases of the killed as well.
    expect(await client.dbsize()).toBe(0);
    await store.disconnect();
    await client.quit();
  });
});
