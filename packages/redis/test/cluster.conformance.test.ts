import { Cluster } from 'ioredis';
import { type RedisCluster, redisServer, startRedisCluster } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect } from 'vitest';
import { kitOnClients } from './kit-on-clients.ts';

let cluster: RedisCluster;
const clients: Cluster[] = [];
/** The masters that hold the namespaces of the tests, each of which has its slot. */
const masters = new Set<number>();

describeWith(redisServer, 'a Cluster of three masters', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 });
  });
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await cluster.stop();
    expect(masters.size).toBe(3);
  });

  kitOnClients({
    name: 'Redis Cluster',
    connect: (natMap = {}) => {
      const client = new Cluster(cluster.hosts, { natMap });
      client.on('error', () => undefined);
      clients.push(client);
      return client;
    },
    servers: () => cluster.nodes,
    used: async (key) => {
      const slot = Number(await cluster.nodes[0]?.command('CLUSTER', 'KEYSLOT', key));
      masters.add(Math.floor((slot * 3) / 16_384));
    },
  });
});
