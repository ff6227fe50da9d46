import type { Cluster, Redis } from 'ioredis';
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
import { RedisStorageBackend } from '../../src/redis/index.ts';
import { swappedRecordCases } from '../encryption/swapped-records.ts';
import { driverCases } from './driver-cases.ts';
import { clientOf, clusterClientOf, collect, KEY, makeDriver, newRecord } from './redis-harness.ts';

describeWith(kitRedisServer, 'redis driver: one server', () => {
  let kit: KitRedis;
  let client: Redis;

  beforeAll(async () => {
    kit = await kitRedis();
    client = clientOf(kit.url);
  });
  afterAll(async () => {
    await client.quit();
    await kit.stop();
  });

  driverCases('one', () => ({ client, prefix: kit.createPrefix() }));

  swappedRecordCases('redis', () => {
    const prefix = kit.createPrefix();
    const store = new RedisStorageBackend(client, { prefix, encryption: '7c'.repeat(32) });
    return { driver: makeDriver(client, { prefix }), store };
  });

  it('redis/one/layout: a hash and a sorted set of the documented names, with expiries', async () => {
    const prefix = kit.createPrefix();
    const driver = makeDriver(client, { prefix });
    await driver.insert(newRecord({ status: 'pending' }));
    await driver.acquireLease(KEY, 'token', 1_000);
    const names = (await client.keys(`${prefix}*`)).map((name) => name.slice(prefix.length)).sort();
    expect(names).toEqual(['{dXNlcg}:idx', '{dXNlcg}:l:c2Vzc2lvbg', '{dXNlcg}:s:c2Vzc2lvbg']);
    const [, deadline] = (await client.call('zrange', `${prefix}${names[0]}`, 0, 0, 'WITHSCORES')) as string[];
    for (const name of [names[0], names[2]]) {
      const ends = Date.now() + (await client.pttl(`${prefix}${name}`));
      expect(Math.abs(ends - Number(deadline))).toBeLessThan(1_000);
    }
    expect(await client.hget(`${prefix}${names[2]}`, 'serverUrl')).toBe('"https://server"');
    await driver.clear();
    expect(await client.keys(`${prefix}*`)).toEqual([]);
  });

  it('redis/one/key-prefix: keyPrefix of the client holds for everything, SCAN included', async () => {
    const outer = kit.createPrefix();
    const prefixed = clientOf(kit.url, { keyPrefix: `${outer}[a-z]*:` });
    const driver = makeDriver(prefixed, { prefix: 'mcp:' });
    await driver.insert(newRecord());
    expect(await client.keys(`${outer}*`)).toHaveLength(2);
    await client.set(`${outer}x:mcp:{dXNlcg}:s:c2Vzc2lvbg`, 'of somebody else');
    expect(await collect(driver.scan())).toEqual([KEY]);
    await driver.clear();
    expect(await client.keys(`${outer}*`)).toEqual([`${outer}x:mcp:{dXNlcg}:s:c2Vzc2lvbg`]);
    await prefixed.quit();
  });
});

describeWith(redisServer, 'redis driver: cluster', () => {
  let cluster: RedisCluster;
  let client: Cluster;

  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 });
    client = clusterClientOf(cluster.hosts);
  });
  afterAll(async () => {
    await client.quit();
    await cluster.stop();
  });

  driverCases('cluster', () => ({ client, prefix: `t${Math.random()}:` }));

  it('redis/cluster/all-masters: scan and clear see every master, and leave what is not ours', async () => {
    const driver = makeDriver(client, { prefix: 'all:' });
    const users = Array.from({ length: 300 }, (_, n) => `user-${n}`);
    await Promise.all(users.map((userId) => driver.insert(newRecord({ userId }))));
    await client.set('other', '1');
    const sizes = await Promise.all(cluster.nodes.map((node) => node.command('DBSIZE')));
    expect(sizes.every((size) => Number(size) > 50)).toBe(true);
    expect((await collect(driver.scan())).map(({ userId }) => userId).sort()).toEqual([...users].sort());
    await driver.clear();
    expect(await collect(driver.scan())).toEqual([]);
    const left = await Promise.all(cluster.nodes.map((node) => node.command('KEYS', '*')));
    expect(left.flat()).toEqual(['other']);
    await client.del('other');
  });

  it('redis/cluster/key-prefix: of the cluster or of its nodes', async () => {
    for (const options of [{ keyPrefix: 'app:' }, { redisOptions: { keyPrefix: 'app:' } }]) {
      const prefixed = clusterClientOf(cluster.hosts, options);
      const driver = makeDriver(prefixed, { prefix: 'mcp:' });
      await driver.insert(newRecord());
      expect(await client.exists('app:mcp:{dXNlcg}:s:c2Vzc2lvbg')).toBe(1);
      expect(await collect(driver.scan())).toEqual([KEY]);
      await driver.clear();
      expect(await client.exists('app:mcp:{dXNlcg}:s:c2Vzc2lvbg')).toBe(0);
      await prefixed.quit();
    }
  });

  it('redis/cluster/moved: follows a user whose slot moves to another master', async () => {
    const driver = makeDriver(client, { prefix: 'moved:' });
    await driver.insert(newRecord());
    const key = 'moved:{dXNlcg}:s:c2Vzc2lvbg';
    const slot = await client.cluster('KEYSLOT', key);
    const owners = await Promise.all(
      cluster.nodes.map(async (node) => (await node.command('CLUSTER', 'COUNTKEYSINSLOT', slot)) as number),
    );
    const from = cluster.nodes[owners.findIndex((count) => count > 0)];
    const to = cluster.nodes.find((node) => node !== from);
    if (from === undefined || to === undefined) throw new Error('nobody has the slot');
    const toId = String(await to.command('CLUSTER', 'MYID'));
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await from.command('CLUSTER', 'MYID')));
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    const keys = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[];
    await from.command('MIGRATE', to.host, to.port, '', 0, 5_000, 'KEYS', ...keys);
    // The slot is still the first one's, its keys are the other's.
    expect(await driver.patch(KEY, { kind: 'content', set: { serverId: '"a"' }, unset: [] })).toHaveProperty('version');
    await Promise.all([to, from].map((node) => node.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId)));
    expect((await driver.read(KEY, ['serverId']))?.fields).toEqual({ serverId: '"a"' });
    expect(await driver.listIds(KEY.userId)).toEqual([KEY.sessionId]);
    await driver.clear();
  });
});
