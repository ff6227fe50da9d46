import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import { type RedisCluster, type RedisServer, redisServer, startRedis, startRedisCluster, waitFor } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisClient } from '../src/driver.ts';
import { type RedisSessions, redisSessions } from '../src/index.ts';

const CLIENT = { name: 'client', version: '1.0.0' };

/** What arrives on a stream that stays open. */
class Stream {
  received = '';
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(sessions: RedisSessions, id: string) {
    const { streams } = sessions.sessionManager;
    const body = new ReadableStream<Uint8Array>({ start: (controller) => streams.create(id, controller) });
    this.#reader = body.getReader();
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      this.received += decoder.decode(value, { stream: true });
    }
  }
}

/** Uses all managers of two processes, and closes them. @returns the errors that they reported */
async function useTwo(options: { readonly client: RedisClient } | { readonly url: string }): Promise<string[]> {
  const errors: string[] = [];
  const onError = ({ code, message }: { code: string; message: string }): void => {
    if (code !== 'configuration') errors.push(`${code}: ${message}`);
  };
  const open = (): RedisSessions => redisSessions({ ...options, heartbeatMs: 200, onError });
  const [a, b] = [open(), open()];
  const stream = new Stream(a, 's');
  await waitFor(async () => b.sessionManager.streams.has('s'));
  await b.sessionManager.streams.publish(['s'], 'data: small\n\n');
  await b.sessionManager.streams.publish(['s'], `data: ${'x'.repeat(600_000)}\n\n`);
  await b.sessionManager.streams.publish(['s'], 'data: last\n\n');
  await waitFor(() => stream.received.includes('data: last'));
  expect(stream.received.length).toBeGreaterThan(600_000);
  await a.sessionManager.info.setClientInfo('s', CLIENT);
  await a.sessionManager.info.addSubscription('s', 'test://r');
  expect(await b.sessionManager.info.getClientInfo('s')).toEqual(CLIENT);
  expect(await b.sessionManager.info.getSubscriptions('test://r')).toEqual(['s']);
  expect(await b.health()).toMatchObject({ error: undefined });
  await b.sessionManager.streams.delete('s');
  await b.sessionManager.info.delete('s');
  await waitFor(async () => !(await a.sessionManager.streams.has('s')));
  await Promise.all([a.close(), b.close()]);
  return errors;
}

/** Connections of clients to a server, this one's included. */
async function connectionsOf(client: Redis): Promise<number> {
  return String(await client.client('LIST'))
    .trim()
    .split('\n').length;
}

describe('clients that the application has', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ settings: { appendonly: 'yes' } });
  });
  afterEach(async () => {
    for (const client of opened.splice(0)) client.disconnect();
  });
  afterAll(() => server.stop());

  const opened: Redis[] = [];
  const open = (options: object = {}): Redis => {
    const client = new Redis(server.url, options);
    opened.push(client);
    return client;
  };

  it.each<[string, object]>([
    ['as it comes', {}],
    ['with a prefix', { keyPrefix: 'app:' }],
    ['with a prefix that has a hash tag', { keyPrefix: '{app}:' }],
    ['with the older protocol', { protocol: 2 }],
    ['with maps as replies', { replyMapping: 'resp3' }],
    ['with a deadline for commands', { commandTimeout: 1_000 }],
    ['that is not connected yet', { lazyConnect: true }],
    ['that collects commands', { enableAutoPipelining: true }],
    ['that gives numbers as text', { stringNumbers: true }],
    ['that never gives up', { maxRetriesPerRequest: null }],
    ['on another database', { db: 5 }],
    ['that shows stacks', { showFriendlyErrorStack: true }],
  ])('clients/redis: one %s works and stays open', async (_, options) => {
    const client = open(options);
    const listeners = client.listenerCount('error');
    expect(await useTwo({ client })).toEqual([]);
    expect(client.status).toBe('ready');
    expect(client.listenerCount('error')).toBe(listeners);
    expect(await client.ping()).toBe('PONG');
  });

  it('clients/version-5: one of the older driver works and stays open', async () => {
    const client = new Redis5(server.url);
    expect(await useTwo({ client })).toEqual([]);
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  it('clients/prefix: whatever the driver puts in front of keys stands in front of all', async () => {
    const client = open({ keyPrefix: 'front:' });
    await client.flushall();
    expect(await useTwo({ client })).toEqual([]);
    const keys = (await server.command('KEYS', '*')) as string[];
    expect(keys.length).toBeGreaterThan(2);
    expect(keys.filter((key) => !key.startsWith('front:{tmcp:'))).toEqual([]);
  });

  it('clients/no-queue: one that refuses to wait works while it is connected, and again when it is', async () => {
    const client = open({ enableOfflineQueue: false });
    client.on('error', () => undefined);
    await new Promise((resolve) => client.once('ready', resolve));
    expect(await useTwo({ client })).toEqual([]);
    const info = redisSessions({ client, onError: () => undefined });
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await info.sessionManager.info.setClientInfo('s', CLIENT);
    expect(await info.sessionManager.info.getClientInfo('s')).toEqual(CLIENT);
    await info.close();
  });

  it('connections/set: two namespaces share one connection for calls, and have one each that reads', async () => {
    const client = open();
    const others = async (): Promise<number> => (await connectionsOf(client)) - 1;
    await waitFor(async () => (await others()) === 0);
    const sessions = redisSessions({ url: server.url, onError: () => undefined });
    const second = sessions.namespace('second');
    for (const set of [sessions, second]) {
      await set.sessionManager.streams.send(['s'], 'data: 1\n\n');
      await set.sessionManager.info.setClientInfo('s', CLIENT);
      await set.subscriptionManager.publish({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    }
    expect(await others()).toBe(3);
    await second.close();
    await waitFor(async () => (await others()) === 2);
    await sessions.sessionManager.info.setLogLevel('s', 'debug');
    await sessions.close();
    await waitFor(async () => (await others()) === 0);
  });

  it('connections/handed-in: with a client of the application only those that read are added', async () => {
    const client = open({ connectionName: 'app' });
    const list = (): Promise<number> => connectionsOf(client);
    await waitFor(async () => (await list()) === 1);
    const sessions = redisSessions({ client, onError: () => undefined });
    const second = sessions.namespace('second');
    for (const set of [sessions, second]) await set.sessionManager.streams.send(['s'], 'data: 1\n\n');
    await second.sessionManager.info.setClientInfo('s', CLIENT);
    expect(await list()).toBe(3);
    await sessions.close();
    await waitFor(async () => (await list()) === 1);
    await expect(second.sessionManager.info.getClientInfo('s')).rejects.toMatchObject({ code: 'closed' });
  });
});

describeWith(redisServer, 'clients of a Cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicasPerMaster: 1, settings: { appendonly: 'yes' } });
  });
  afterEach(() => {
    for (const client of opened.splice(0)) client.disconnect();
  });
  afterAll(() => cluster.stop());

  const opened: Cluster[] = [];
  const open = (options: object = {}): Cluster => {
    const client = new Cluster(cluster.hosts.slice(0, 3), options);
    opened.push(client);
    return client;
  };

  it.each<[string, object]>([
    ['as it comes', {}],
    ['with a prefix', { keyPrefix: 'app:' }],
    ['with a prefix among the options of its nodes', { redisOptions: { keyPrefix: 'app:' } }],
    ['with a prefix that has a hash tag', { keyPrefix: '{app}:' }],
    ['that may read from replicas', { scaleReads: 'slave' }],
    ['with the older protocol', { redisOptions: { protocol: 2 } }],
    ['that collects commands', { enableAutoPipelining: true }],
    ['that is not connected yet', { lazyConnect: true }],
  ])('clients/cluster: one %s works and stays open', async (_, options) => {
    const client = open(options);
    expect(await useTwo({ client })).toEqual([]);
    expect(client.status).toBe('ready');
    expect(await client.set('of-the-application', '1')).toBe('OK');
  });

  it('clients/cluster-version-5: one of the older driver works and stays open', async () => {
    const client = new Cluster5(cluster.hosts.slice(0, 3));
    expect(await useTwo({ client })).toEqual([]);
    expect(await client.set('of-the-application', '1')).toBe('OK');
    client.disconnect();
  });

  it('clients/cluster-replicas: replicas are never asked, for they can be behind', async () => {
    const client = open({ scaleReads: 'slave', slotsRefreshInterval: 100 });
    await waitFor(() => client.nodes('slave').length === 3);
    const replicas = cluster.nodes.slice(3);
    for (const replica of replicas) replica.freeze();
    try {
      expect(await useTwo({ client })).toEqual([]);
    } finally {
      for (const replica of replicas) replica.thaw();
    }
    await cluster.ready();
  });

  it('clients/cluster-namespaces: different namespaces live on different masters', async () => {
    const client = open();
    const sessions = redisSessions({ client, onError: () => undefined });
    for (let i = 0; i < 30; i += 1) {
      await sessions.namespace(`n${i}`).sessionManager.info.setClientInfo('s', CLIENT);
    }
    const masters = cluster.nodes.slice(0, 3);
    const held = await Promise.all(masters.map((master) => master.command('DBSIZE')));
    for (const count of held) expect(Number(count)).toBeGreaterThan(0);
    await sessions.close();
  });
});
