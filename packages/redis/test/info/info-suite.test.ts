import { randomUUID } from 'node:crypto';
import { type InfoBackend, infoSessionManagerSuite, infoStoreSuite } from '@tmcp/session-manager/testing';
import { Cluster, Redis } from 'ioredis';
import { type KitRedis, kitRedis, type RedisCluster, redisServer, startRedisCluster } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { RedisClient } from '../../src/driver.ts';
import { infoKeys } from '../../src/keys.ts';
import type { RedisConnectionOptions } from '../../src/options.ts';
import { RedisConnection } from '../../src/redis-connection.ts';
import { RedisInfoSessionManager } from '../../src/redis-info-session-manager.ts';
import { RedisInfoStore } from '../../src/redis-info-store.ts';

type Reach = { readonly options: RedisConnectionOptions; readonly client: RedisClient };

/** Namespaces of this test alone. What is left of them after it has to fit together. */
function isolated(reach: () => Reach) {
  return async (): Promise<InfoBackend> => {
    const { options, client } = reach();
    const test = randomUUID();
    const namespaces = new Set<string>();
    return {
      open: ({ namespace = 'default', ...rest }) => {
        namespaces.add(`${test}/${namespace}`);
        return new RedisInfoSessionManager({ ...options, ...rest, namespace: `${test}/${namespace}` });
      },
      cleanUp: async () => {
        for (const namespace of namespaces) await expectConsistent(client, namespace);
      },
    };
  };
}

/** Whoever is listed as a subscriber is one, and nobody else; each text of a URI has its subscribers. */
async function expectConsistent(client: RedisClient, namespace: string): Promise<void> {
  const keys = infoKeys('tmcp', namespace);
  const listed = (await client.call('ZRANGE', keys.subscribers, 0, -1)) as string[];
  const sessions = (await client.call('ZRANGE', keys.due, 0, -1)) as string[];
  const subscribed: string[] = [];
  for (const id of sessions) {
    const fields = (await client.call('HKEYS', keys.session(id))) as string[];
    expect(fields).not.toEqual([]);
    subscribed.push(...fields.filter((field) => field.startsWith('uri:')).map((field) => `${field.slice(4)}:${id}`));
  }
  expect(listed.sort()).toEqual(subscribed.sort());
  const uris = (await client.call('HKEYS', keys.uris)) as string[];
  expect(uris.sort()).toEqual([...new Set(listed.map((member) => member.slice(0, 43)))].sort());
}

function suites(name: string, reach: () => Reach): void {
  infoSessionManagerSuite({ name, concurrent: true, setUp: isolated(reach) });
  infoStoreSuite({
    name,
    concurrent: true,
    setUp: async () => {
      const { options, client } = reach();
      const namespace = randomUUID();
      const store = new RedisInfoStore({
        connection: new RedisConnection(options),
        namespace,
        infoTtlMs: 600_000,
        sendTimeoutMs: 10_000,
        onError: (error) => expect.unreachable(error.message),
      });
      return { store, cleanUp: () => expectConsistent(client, namespace) };
    },
  });
}

describe('one server', () => {
  let redis: KitRedis;
  let client: Redis;
  beforeAll(async () => {
    redis = await kitRedis();
    client = new Redis(redis.url);
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  suites('Redis, URL', () => ({ options: { url: redis.url }, client }));
  suites('Redis, client', () => ({ options: { client }, client }));
});

describeWith(redisServer, 'three masters', () => {
  let cluster: RedisCluster;
  let client: Cluster;
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 });
    client = new Cluster(cluster.hosts);
  });
  afterAll(async () => {
    client.disconnect();
    await cluster.stop();
  });

  suites('Redis Cluster', () => ({ options: { client }, client }));
});
