import { Redis } from 'ioredis';
import { redisServer, startRedisCluster, startRedisSentinel } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { expect, it } from 'vitest';
import { clusterClientOf, collect, KEY, makeDriver, newRecord } from './redis-harness.ts';

const PATCH = { kind: 'content', set: { serverId: '"a"' }, unset: [] } as const;

describeWith(redisServer, 'redis: failover', () => {
  it('redis/failover/sentinel: writes go on after a failover', async () => {
    await using group = await startRedisSentinel();
    const through = new Redis({ sentinels: group.sentinels, name: group.name });
    through.on('error', () => {});
    const driver = makeDriver(through, { operationTimeoutMs: 30_000 });
    await driver.insert(newRecord());
    // Copied to the replica before the master dies: what was not is lost, and documented so.
    await through.wait(1, 5_000);
    const dying = group.killMaster();
    await expect.poll(() => driver.patch(KEY, PATCH), { timeout: 25_000 }).toHaveProperty('version');
    await dying;
    expect((await driver.read(KEY, ['serverId']))?.fields).toEqual({ serverId: '"a"' });
    through.disconnect();
  }, 90_000);

  it('redis/failover/cluster: writes go on when a replica takes over', async () => {
    await using cluster = await startRedisCluster({ masters: 3, replicasPerMaster: 1 });
    const through = clusterClientOf(cluster.hosts);
    const driver = makeDriver(through, { operationTimeoutMs: 20_000 });
    const users = Array.from({ length: 30 }, (_, n) => `user-${n}`);
    await Promise.all(users.map((userId) => driver.insert(newRecord({ userId }))));
    await cluster.nodes[0]?.command('WAIT', 1, 5_000);
    await cluster.nodes[0]?.kill();
    const results = await Promise.all(users.map((userId) => driver.patch({ ...KEY, userId }, PATCH)));
    expect(results.every((result) => typeof result === 'object')).toBe(true);
    expect((await collect(driver.scan())).map(({ userId }) => userId).sort()).toEqual([...users].sort());
    through.disconnect();
  }, 90_000);
});
