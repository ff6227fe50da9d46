import {
  type KitRedis,
  kitRedis,
  kitRedisServer,
  type RedisCluster,
  redisServer,
  startRedisCluster,
} from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RedisClient, RedisNode } from '../../src/redis/redis-client.ts';
import { createRedisStorageBackend, RedisStorageBackend } from '../../src/redis/redis-storage-backend.ts';
import { type ConformanceBackend, sessionStoreConformance } from '../../src/testing/index.ts';
import { clientOf, clusterClientOf } from './redis-harness.ts';

describeWith(kitRedisServer, 'redis: one server', () => {
  let kit: KitRedis;
  beforeAll(async () => {
    kit = await kitRedis();
  });
  afterAll(() => kit.stop());

  sessionStoreConformance(
    'redis',
    async () => {
      const client = clientOf(kit.url);
      return backendOn(client, kit.createPrefix(), () => client.quit());
    },
    { concurrent: true },
  );

  it('redis/owned: a backend with a connection of its own ends it', async () => {
    const prefix = kit.createPrefix();
    const watcher = clientOf(kit.url);
    const connections = async (): Promise<number> =>
      String(await watcher.client('LIST'))
        .trim()
        .split('\n').length;
    await watcher.ping();
    const before = await connections();
    const store = await createRedisStorageBackend(kit.url, { prefix, encryption: false });
    expect(await connections()).toBe(before);
    await store.create({ ...SESSION, sessionId: store.generateSessionId() });
    expect(await connections()).toBe(before + 1);
    expect(await store.listIds('user')).toHaveLength(1);
    await store.clearAll();
    await store.disconnect();
    await expect.poll(connections).toBe(before);
    await expect(store.list('user')).rejects.toMatchObject({ code: 'closed' });
    await watcher.quit();
  });

  it('redis/injected: a client that was handed in stays open', async () => {
    const client = clientOf(kit.url);
    const store = new RedisStorageBackend(client, { prefix: kit.createPrefix(), encryption: false });
    expect(await store.listAllIds()).toEqual([]);
    await store.disconnect();
    expect(await client.ping()).toBe('PONG');
    await client.quit();
  });

  it('redis/options: a prefix with braces, replicas and strange addresses are refused', async () => {
    const client = clientOf(kit.url, { lazyConnect: true });
    expect(() => new RedisStorageBackend(client, { prefix: 'a{b}' })).toThrow('Option prefix must be');
    expect(() => new RedisStorageBackend(client, { nonsense: 1 } as never)).toThrow('Unknown option nonsense');
    const cluster = clusterClientOf([{ host: '127.0.0.1', port: 1 }], { scaleReads: 'all', lazyConnect: true });
    expect(() => new RedisStorageBackend(cluster)).toThrow('needs a client that reads from masters');
    await expect(createRedisStorageBackend('http://secret@host')).rejects.toThrow(
      /^The address is not a valid redis URL$/,
    );
    client.disconnect();
    cluster.disconnect();
  });

  it('redis/page: a page of many reads no more records than it returns', async () => {
    const client = clientOf(kit.url);
    const store = new RedisStorageBackend(client, { prefix: kit.createPrefix(), encryption: false });
    const ids = Array.from({ length: 250 }, (_, n) => `session-${String(n).padStart(3, '0')}`);
    const createdAt = Date.now() - 1_000;
    await Promise.all(ids.map((sessionId) => store.create({ ...SESSION, sessionId, createdAt })));
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.listPage('user', { cursor });
      found.push(...page.sessions.map(({ sessionId }) => sessionId));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(found).toEqual(ids);
    await store.clearAll();
    await client.quit();
  });
});

describeWith(redisServer, 'redis: cluster of three masters', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 });
  });
  afterAll(() => cluster.stop());

  sessionStoreConformance(
    'redis cluster',
    async () => {
      const client = clusterClientOf(cluster.hosts);
      return backendOn(client, `kit-${crypto.randomUUID()}:`, () => client.quit());
    },
    { concurrent: true },
  );
});

const SESSION = {
  userId: 'user',
  serverUrl: 'https://server',
  callbackUrl: 'https://callback',
  transportType: 'sse',
  createdAt: Date.now(),
} as const;

function backendOn(client: RedisClient, prefix: string, end: () => Promise<unknown>): ConformanceBackend {
  return {
    open: (options) => new RedisStorageBackend(client, { ...options, prefix }),
    sharesData: true,
    dump: async () => {
      const keys = await keysUnder(client, prefix);
      const values = await Promise.all(
        keys.map(async (key) => [
          key,
          await client.call((await typeOf(client, key)) === 'hash' ? 'hgetall' : 'dump', key),
        ]),
      );
      return JSON.stringify(values);
    },
    cleanUp: async () => {
      const store = new RedisStorageBackend(client, { prefix, encryption: false });
      await store.clearAll();
      expect(await keysUnder(client, prefix)).toEqual([]);
      await store.disconnect();
      await end();
    },
  };
}

async function typeOf(client: RedisClient, key: string): Promise<unknown> {
  return client.call('type', key);
}

async function keysUnder(client: RedisClient, prefix: string): Promise<string[]> {
  const nodes: RedisNode[] = client.nodes?.('master') ?? [client];
  const found = await Promise.all(nodes.map((node) => node.call('keys', `${prefix}*`)));
  return (found as string[][]).flat();
}
