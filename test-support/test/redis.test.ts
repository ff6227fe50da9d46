import { existsSync } from 'node:fs';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  kitRedis,
  openSsl,
  type RedisCluster,
  type RedisServer,
  redisOnce,
  redisServer,
  spawnNode,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  waitFor,
} from '../src/index.ts';
import { isRunning } from '../src/process-tree.ts';
import { describeWith } from '../src/vitest.ts';

describeWith(redisServer, 'redis: one server', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis({ settings: { appendonly: 'yes', requirepass: 'top-secret-password' } });
  });
  afterAll(() => server.stop());

  it('redis/settings: takes settings and needs the password', async () => {
    expect(await server.command('CONFIG', 'GET', 'appendonly')).toEqual(['appendonly', 'yes']);
    expect(server.version).toMatch(/^\d+\.\d+/);
    await using open = await startRedis();
    expect(await open.command('CONFIG', 'GET', 'save')).toEqual(['save', '']);
    await expect(redisOnce(`redis://${server.host}:${server.port}`, ['GET', 'a'])).rejects.toThrow('NOAUTH');
  });

  it('redis/restarts: keeps its data and its port through kill and restart, or forgets it', async () => {
    await server.command('SET', 'kept', 'yes');
    const pid = server.pid;
    await server.kill();
    expect(server.pid).toBeUndefined();
    await expect(server.command('PING')).rejects.toThrow('ECONNREFUSED');
    await server.restart({ keepData: true });
    expect(server.pid).not.toBe(pid);
    expect(await server.command('GET', 'kept')).toBe('yes');
    await server.restart({ keepData: true });
    expect(await server.command('GET', 'kept')).toBe('yes');
    await server.restart({ keepData: false });
    expect(await server.command('GET', 'kept')).toBeNull();
  });

  it('redis/restart-unwritten: a restart in order keeps what is only in memory, a kill does not', async () => {
    await using memory = await startRedis();
    await memory.command('SET', 'a', '1');
    await memory.restart({ keepData: true });
    expect(await memory.command('GET', 'a')).toBe('1');
    await memory.command('SET', 'a', '2');
    await memory.kill();
    await memory.start();
    expect(await memory.command('GET', 'a')).toBe('1');
  });

  it('redis/loading: can be met while it loads its data', async () => {
    await using slow = await startRedis({ settings: { 'loading-process-events-interval-bytes': 1_024 } });
    await slow.command('MSET', ...Array.from({ length: 4_000 }, (_, n) => `key-${n}`));
    await slow.command('CONFIG', 'SET', 'key-load-delay', 500);
    await slow.command('CONFIG', 'REWRITE');
    await slow.restart({ keepData: true, until: 'listening' });
    await expect(slow.command('GET', 'key-0')).rejects.toThrow('LOADING');
    await waitFor(async () => (await slow.command('GET', 'key-0')) === 'key-1', { timeoutMs: 30_000 });
  });

  it('redis/freeze: answers nobody until it is thawed', async () => {
    server.freeze();
    let answered = false;
    const waiting = server.command('PING').then(() => {
      answered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100)); // Long enough for an answer that should not come.
    expect(answered).toBe(false);
    server.thaw();
    await waiting;
  });

  it('redis/stop: removes its files', async () => {
    const other = await startRedis();
    const [, directory] = (await other.command('CONFIG', 'GET', 'dir')) as [string, string];
    expect(existsSync(directory)).toBe(true);
    await other.stop();
    expect(existsSync(directory)).toBe(false);
  });

  it('redis/parent-death: a killed starter leaves no server and no files behind', async () => {
    await using starter = await spawnNode(new URL('./programs/redis-starter.ts', import.meta.url));
    const { pid, directory } = await starter.nextMessage<{ pid: number; directory: string }>(undefined, {
      timeoutMs: 60_000,
    });
    expect(isRunning(pid)).toBe(true);
    await starter.kill();
    await waitFor(() => !isRunning(pid) && !existsSync(directory), { message: 'the server to end' });
  });

  it('redis/bad-setting: a server that does not start says why', async () => {
    await expect(startRedis({ settings: { nonsense: 'yes' } })).rejects.toThrow('Bad directive');
  });

  it('redis/kit: takes away the keys under its prefixes, and no others', async () => {
    await using shared = await startRedis();
    const { TEST_REDIS_URL } = process.env;
    process.env.TEST_REDIS_URL = shared.url;
    try {
      const kit = await kitRedis();
      expect(kit.source).toBe('TEST_REDIS_URL');
      await shared.command('SET', `${kit.createPrefix()}a`, '1');
      await shared.command('SET', 'other', '1');
      await kit.stop();
      expect(await shared.command('KEYS', '*')).toEqual(['other']);
    } finally {
      if (TEST_REDIS_URL === undefined) delete process.env.TEST_REDIS_URL;
      else process.env.TEST_REDIS_URL = TEST_REDIS_URL;
    }
  });
});

describeWith(openSsl, 'redis: TLS', () => {
  describeWith(redisServer, 'on a server', () => {
    it('redis/tls: speaks TLS only', async () => {
      await using server = await startRedis({ tls: true });
      expect(server.url).toMatch(/^rediss:/);
      expect(await server.command('PING')).toBe('PONG');
      await expect(redisOnce(server.url, ['PING'], { ca: undefined })).rejects.toThrow('self-signed certificate');
    });
  });
});

describeWith(redisServer, 'redis: cluster', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicasPerMaster: 1 });
  });
  afterAll(() => cluster.stop());

  it('redis/cluster: spreads keys over its masters, each with a replica', async () => {
    expect(await Promise.all(cluster.nodes.map((node) => node.info('role')))).toEqual([
      ...['master', 'master', 'master'],
      ...['slave', 'slave', 'slave'],
    ]);
    const client = new Cluster(cluster.hosts);
    await Promise.all(Array.from({ length: 100 }, (_, n) => client.set(`key-${n}`, n)));
    client.disconnect();
    const counts = await Promise.all(cluster.nodes.slice(0, 3).map((node) => node.command('DBSIZE')));
    expect(counts.every((count) => Number(count) > 10)).toBe(true);
    expect(counts.reduce<number>((sum, count) => sum + Number(count), 0)).toBe(100);
  });

  it('redis/cluster-failover: a replica takes over from a killed master', async () => {
    await cluster.nodes[0]?.kill();
    const replica = cluster.nodes[3];
    await waitFor(async () => (await replica?.info('role')) === 'master', { timeoutMs: 30_000, intervalMs: 50 });
    await cluster.nodes[0]?.start();
    await cluster.ready();
    expect(await cluster.nodes[0]?.info('role')).toBe('slave');
  });
});

describeWith(redisServer, 'redis: sentinel', () => {
  it('redis/sentinel: another server takes over, by request and from a killed one', async () => {
    await using group = await startRedisSentinel({ replicas: 2 });
    const first = await group.master();
    expect(first).toBe(group.servers[0]);
    const second = await group.failover();
    expect(second).not.toBe(first);
    await waitFor(async () => (await first.info('master_link_status')) === 'up', { timeoutMs: 30_000 });
    await group.ready();
    const third = await group.killMaster();
    expect(third).not.toBe(second);
    await third.command('SET', 'a', '1');
  });
});
