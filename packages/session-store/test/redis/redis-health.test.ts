import { redisServer, startRedis } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { expect, it } from 'vitest';
import { clientOf, makeDriver, newRecord } from './redis-harness.ts';

describeWith(redisServer, 'redis: health', () => {
  it('redis/health: health tells of eviction and of missing persistence, if it may look', async () => {
    await using careless = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } });
    const to = clientOf(careless.url);
    expect(await makeDriver(to).ping()).toEqual([
      'Redis may evict sessions: maxmemory-policy is allkeys-lru, use noeviction',
      'Redis keeps sessions in memory only: turn on AOF or RDB',
    ]);
    await to.config('SET', 'maxmemory-policy', 'noeviction');
    await to.config('SET', 'save', '900 1');
    expect(await makeDriver(to).ping()).toEqual([]);
    await to.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '+@all', '-@admin', '-@dangerous');
    const limited = clientOf(careless.url.replace('redis://', 'redis://app:pw@'));
    const driver = makeDriver(limited);
    expect(await driver.ping()).toEqual([]);
    expect(await driver.insert(newRecord())).toBe('ok');
    for (const one of [to, limited]) one.disconnect();
  });
});
