import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { infoTtlRule, type SessionError } from '@tmcp/session-manager';
import { Cluster, Redis } from 'ioredis';
import {
  type KitPostgres,
  kitPostgres,
  openSsl,
  type RedisCluster,
  type RedisSentinel,
  type RedisServer,
  requireService,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  waitFor,
} from 'test-support';
import {
  describeReadme,
  initialize,
  knownOptions,
  Markdown,
  optionRows,
  ProbedStream,
  quotedIn,
  quotedInColumn,
  resumes,
  saysHello,
  tellsEachTransportOnce,
} from 'test-support/readme';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as exported from '../src/index.ts';
import {
  RedisInfoSessionManager,
  type RedisSessionsOptions,
  RedisStreamSessionManager,
  RedisSubscriptionManager,
  redisSessions,
} from '../src/index.ts';
import { infoKeys, logKeys } from '../src/keys.ts';
import { redisDeliveryRules } from '../src/redis-node.ts';
import { type MemoryUse, measureMemory } from './memory-use.ts';

const README = new URL('../README.md', import.meta.url);
const markdown = new Markdown(readFileSync(README, 'utf8'));

let server: RedisServer;
let tls: RedisServer | undefined;
let files: string;
let sentinel: RedisSentinel;
let cluster: RedisCluster;
let postgres: KitPostgres;

/** As the README wants it: a warning would be an error here. */
const settings = { appendonly: 'yes', databases: 64 };

beforeAll(async () => {
  [server, sentinel, cluster, postgres] = await Promise.all([
    startRedis({ settings }),
    startRedisSentinel({ settings }),
    startRedisCluster({ masters: 3, settings: { appendonly: 'yes' } }),
    kitPostgres(),
  ]);
  files = mkdtempSync(join(tmpdir(), 'tmcp-readme-'));
  if (requireService(openSsl) !== undefined) tls = await startRedis({ settings, tls: true });
});
afterAll(async () => {
  await Promise.all([server.stop(), tls?.stop(), sentinel.stop(), cluster.stop(), postgres.stop()]);
  rmSync(files, { recursive: true, force: true });
});

let databases = 0;

/** A database that nobody else uses, which is what a namespace of everybody needs. */
function ownDatabase(): string {
  databases += 1;
  return `${server.url}/${databases}`;
}

describeReadme({
  readme: README,
  env: async ({ heading, text }, skip) => {
    if (text.includes('REDIS_CA')) {
      const REDIS_CA = join(files, 'ca.pem');
      if (tls?.ca === undefined) return skip('openssl is missing');
      writeFileSync(REDIS_CA, tls.ca);
      return { REDIS_URL: tls.url, REDIS_CA };
    }
    if (heading === 'Sentinel') {
      const addresses = sentinel.sentinels.map(({ host, port }) => `${host}:${port}`);
      return { REDIS_MASTER: sentinel.name, REDIS_SENTINELS: addresses.join(',') };
    }
    if (heading === 'Cluster') return { REDIS_NODES: cluster.urls.join(' ') };
    // The one that has a replica.
    if (heading === 'Wait for replicas') return { REDIS_URL: (await sentinel.master()).url };
    const REDIS_URL = ownDatabase();
    return text.includes('DATABASE_URL') ? { REDIS_URL, DATABASE_URL: postgres.url } : { REDIS_URL };
  },
  servers: {
    'Set-up': saysHello,
    'HTTP and SSE together': tellsEachTransportOnce,
    'Resume with Last-Event-ID': resumes,
    'Health and shutdown': async ({ url }) => {
      const session = await initialize(`${url}/mcp`);
      await using _stream = await ProbedStream.open(`${url}/mcp`, { 'mcp-session-id': session });
      expect(await (await fetch(`${url}/health`)).json()).toEqual({ ok: true });
      const { streams } = (await (await fetch(`${url}/stats`)).json()) as { streams: object };
      expect(quotedInColumn(markdown, 'What to watch')).toEqual(expect.arrayContaining(Object.keys(streams)));
    },
  },
  commands: {
    'npm install ': (command) => {
      const { name, dependencies, devDependencies, peerDependencies } = JSON.parse(
        readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
      ) as Record<string, Record<string, string>>;
      const known = [name, ...Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies })];
      expect(known).toEqual(expect.arrayContaining(command.split(' ').slice(2)));
    },
    'redis-cli -u "$REDIS_URL" ACL SETUSER app ': async (command) => {
      await using guarded = await startRedis({ settings });
      await runInShell(command, guarded.url);
      await useEverything({ url: asApp(guarded.url) }, guarded.url);
      await expect(redisSays(asApp(guarded.url), 'get', 'something-else')).rejects.toThrow('NOPERM');
      await expect(redisSays(asApp(guarded.url), 'hget', 'something-else', 'a')).rejects.toThrow('NOPERM');
      await expect(redisSays(asApp(guarded.url), 'subscribe', 'something-else')).rejects.toThrow('NOPERM');
    },
    'redis-cli -u "$REDIS_URL" --scan ': async (command) => {
      await using old = await startRedis({ settings });
      await useEverything({ url: old.url }, old.url);
      await using redis = await connected(old.url);
      const ours = (await redis.client.keys('*')).sort();
      await redis.client.set('tmcp:client_info:8c6d1ad0-6d5c-4a4f-8f5e-2d9a6a1f2f1b', '{}');
      await redis.client.sadd('tmcp:subscriptions:file:///a.txt', '8c6d1ad0-6d5c-4a4f-8f5e-2d9a6a1f2f1b');
      await runInShell(command, old.url);
      expect((await redis.client.keys('*')).sort()).toEqual(ours);
    },
  },
});

const runInShell = (command: string, REDIS_URL: string): Promise<unknown> =>
  promisify(execFile)('sh', ['-c', command], { env: { ...process.env, REDIS_URL } });

const asApp = (url: string): string => Object.assign(new URL(url), { username: 'app', password: 'secret' }).href;

async function connected(url: string): Promise<{ readonly client: Redis } & AsyncDisposable> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  return { client, [Symbol.asyncDispose]: async () => client.disconnect() };
}

async function redisSays(url: string, command: string, ...values: string[]): Promise<unknown> {
  await using redis = await connected(url);
  return await redis.client.call(command, ...values);
}

/** Sends, stores, trims and cleans up. @param url where somebody who may see everything can look at the keys */
async function useEverything(options: RedisSessionsOptions, url: string): Promise<void> {
  const reported: SessionError[] = [];
  const sessions = redisSessions({
    heartbeatMs: 50,
    resumeWindowMs: 100,
    maxLogBytes: 64 * 1024,
    onError: (error) => reported.push(error),
    ...options,
  });
  const { streams, info } = sessions.sessionManager;
  const received: Uint8Array[] = [];
  for (let life = 0; life < 2; life += 1) {
    const body = new ReadableStream({
      start: (controller) => streams.create('a', controller),
      cancel: () => streams.delete('a'),
    });
    const reader = body.getReader();
    for (const size of [10, 10_000, 40_000, 100_000]) {
      await streams.publish(['a'], `data: ${'x'.repeat(size)}\n\n`);
      received.push((await reader.read()).value as Uint8Array);
    }
    expect(await streams.has('a')).toBe(true);
    await reader.cancel();
  }
  await info.setClientInfo('a', { name: 'client', version: '1.0.0' });
  expect(await info.getClientInfo('a')).toEqual({ name: 'client', version: '1.0.0' });
  await info.addSubscription('a', 'test://resource');
  expect(await info.getSubscriptions('test://resource')).toEqual(['a']);
  await info.removeSubscription('a', 'test://resource');
  await info.delete('a');
  await sessions.subscriptionManager.publish({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  await streams.delete('a');
  const { head, largeTimes } = logKeys('tmcp', 'default');
  await using redis = await connected(url);
  await waitFor(async () => Number(await redis.client.hget(head, 'trimmed')) > 0);
  await waitFor(async () => (await redis.client.zcard(largeTimes)) <= 1);
  expect(await sessions.health()).toEqual({ ok: true, error: undefined, warnings: [] });
  await sessions.close();
  expect(received).toHaveLength(8);
  expect(reported).toEqual([]);
}

describe('permissions of the README', () => {
  const line = markdown.blocks.find(({ text }) => text.includes('ACL SETUSER'))?.text.replaceAll('\\\n', ' ') ?? '';
  const additions = markdown
    .rowsUnder('Permissions')
    .flatMap(([, grants = '']) => quotedIn(grants.replaceAll('\\|', '|')))
    .map((grant) => `'${grant}'`);
  /** The line of the README, and what its table adds. */
  const makeUser = (url: string): Promise<unknown> => runInShell(`${line.trim()} ${additions.join(' ')}`, url);

  it('each command of the scripts is granted', () => {
    const folder = new URL('../src/scripts/', import.meta.url);
    const scripts = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), 'utf8'));
    const used = scripts.flatMap((text) =>
      [...text.matchAll(/redis\.p?call\('(\w+)'(?:, '([A-Z]+)')?/g)].map(([, command = '', first]) =>
        command === 'PUBSUB' ? `pubsub|${first?.toLowerCase()}` : command.toLowerCase(),
      ),
    );
    const granted = [...line.matchAll(/ '?\+([\w|]+)/g)].map(([, command = '']) => command);
    expect(granted).toEqual(expect.arrayContaining([...new Set(used)]));
    const calls = ['eval', 'evalsha', 'subscribe', 'xread', 'hget', 'hdel'];
    expect(granted.filter((command) => !used.includes(command) && !calls.includes(command))).toEqual([]);
  });

  it('with what the table adds: another database, and replicas that have to confirm', async () => {
    const { url } = await sentinel.master();
    await makeUser(url);
    const wait = { replicas: 1, timeoutMs: 5_000 };
    await useEverything({ url: `${asApp(url)}/7`, wait }, `${url}/7`);
  });

  it('with what the table adds: a Cluster', async () => {
    for (const url of cluster.urls) await makeUser(url);
    const client = new Cluster(cluster.urls, { redisOptions: { username: 'app', password: 'secret' } });
    const keys = new Cluster(cluster.urls);
    const slot = await keys.cluster('KEYSLOT', logKeys('tmcp', 'default').head);
    const url = cluster.urls[Math.floor((slot * 3) / 16_384)] ?? '';
    await useEverything({ client }, url);
    client.disconnect();
    keys.disconnect();
  });
});

describe('figures of the README', () => {
  it('connections: as many as it says', async () => {
    await using own = await startRedis({ settings });
    await using redis = await connected(own.url);
    const count = async (): Promise<number> =>
      String(await redis.client.client('LIST'))
        .trim()
        .split('\n').length - 1;
    const frame = ': hello\n\n';
    const sessions = redisSessions(own.url);
    await sessions.sessionManager.streams.publish(undefined, frame);
    await sessions.sessionManager.info.setLogLevel('a', 'info');
    expect(await count()).toBe(2);
    await sessions.namespace('other').sessionManager.streams.publish(undefined, frame);
    expect(await count()).toBe(3);
    await sessions.close();
    const streams = new RedisStreamSessionManager(own.url);
    const info = new RedisInfoSessionManager(own.url);
    const subscriptions = new RedisSubscriptionManager(own.url);
    await streams.publish(undefined, frame);
    await info.setLogLevel('a', 'info');
    await subscriptions.publish({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    await waitFor(async () => (await count()) === 5);
    await Promise.all([streams.close(), info.close(), subscriptions.close()]);
    await waitFor(async () => (await count()) === 0);
  });

  it('memory: what it says is what one takes, or a little more', { timeout: 120_000 }, async () => {
    const used = await measureMemory(10_000);
    const stated = markdown.rowsUnder('Memory in Redis').map(([, bytes = '']) => Number(bytes.replaceAll(',', '')));
    const measured: (keyof MemoryUse)[] = [
      ...(['stream', 'claim', 'info', 'subscription', 'ownSubscription', 'deleted'] as const),
      ...(['aloneMessage', 'batchedMessage', 'largeMessage'] as const),
    ];
    expect(stated).toHaveLength(measured.length);
    // Versions differ in how they keep small things.
    for (const [index, name] of measured.entries()) {
      expect(used[name] / (stated[index] ?? 0), name).toBeGreaterThan(0.6);
      expect(used[name] / (stated[index] ?? 0), name).toBeLessThan(1.1);
    }
  });
});

describe('tables of the README', () => {
  const owners = {
    streams: knownOptions((options) => new RedisStreamSessionManager(options)),
    subscriptions: knownOptions((options) => new RedisSubscriptionManager(options)),
    info: knownOptions((options) => new RedisInfoSessionManager(options)),
  };
  const rows = optionRows(markdown, Object.keys(owners));

  it('options: each is listed once, with those that know it', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual(knownOptions((options) => redisSessions(options)).sort());
    for (const [owner, names] of Object.entries(owners)) {
      const listed = rows.filter((row) => row.owners.includes(owner)).map(({ name }) => name);
      expect(listed.sort(), owner).toEqual(names.sort());
    }
  });

  it('options: defaults are those of the code', () => {
    const rules: Readonly<Record<string, { readonly fallback: unknown }>> = {
      ...redisDeliveryRules,
      infoTtlMs: infoTtlRule,
    };
    for (const { name, fallback } of rows.filter((row) => row.name !== 'onError')) {
      expect(fallback, name).toBe(String(rules[name]?.fallback ?? ''));
    }
  });

  it('errors: each code of the core is listed once', () => {
    const core = new Markdown(readFileSync(new URL('../../core/README.md', import.meta.url), 'utf8'));
    expect(quotedInColumn(markdown, 'Errors').sort()).toEqual(quotedInColumn(core, 'Errors').sort());
  });

  it('keys: each is listed', () => {
    const { live: _, ...log } = logKeys('tmcp', 'namespace');
    const { session, ...info } = infoKeys('tmcp', 'namespace');
    const names = [...Object.values(log), ...Object.values(info), session('')];
    const tag = readFileSync(README, 'utf8').match(/`(\{tmcp:\w+\})`/)?.[1] ?? '';
    expect(
      quotedInColumn(markdown, 'Keys')
        .map((name) => tag + name)
        .sort(),
    ).toEqual(names.sort());
  });

  it('exports: each value is listed once', () => {
    const listed = quotedInColumn(markdown, 'API').map((name) => name.replace('(options)', ''));
    expect(listed.sort()).toEqual(Object.keys(exported).sort());
  });
});
