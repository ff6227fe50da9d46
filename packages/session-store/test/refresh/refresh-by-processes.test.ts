import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { kitPostgres, kitRedis, kitRedisServer, type NodeProcess, spawnNode } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OAuthTokens } from '../../src/session.ts';
import { COMPILED } from '../compiled-programs.ts';
import { installTable } from '../sql-harness.ts';
import { type OpenStore, openStore, type Place } from './open-store.ts';
import type { Answer, Order } from './programs/refresher.ts';
import { RotatingServer } from './rotating-server.ts';

const PROCESSES = 8;
const ROUNDS = 10;

/** The same for all backends: to start them takes longer than most of what they do. */
let processes: NodeProcess[];
const started = new AsyncDisposableStack();

beforeAll(async () => {
  processes = await Promise.all(Array.from({ length: PROCESSES }, start));
});
afterAll(() => started.disposeAsync());

async function start(): Promise<NodeProcess> {
  const process = started.use(await spawnNode(new URL('./programs/refresher.ts', import.meta.url), [], COMPILED));
  await process.nextMessage(({ ready }: { ready?: boolean }) => ready === true, { timeoutMs: 30_000 });
  return process;
}

describe('refresh: on a file', () => {
  presentsOnce('file', async (resources) => {
    const directory = await mkdtemp(join(tmpdir(), 'tmcp-refresh-'));
    resources.defer(() => rm(directory, { recursive: true }));
    return join(directory, 'sessions.json');
  });
});

describeWith(kitRedisServer, 'refresh: on Redis', () => {
  presentsOnce('redis', async (resources) => resources.use(await kitRedis()).url);
});

describe('refresh: on PostgreSQL', () => {
  presentsOnce('postgres', async (resources) => {
    const { url } = resources.use(await kitPostgres());
    await installTable(url);
    return url;
  });
});

function presentsOnce(
  backend: Place['backend'],
  makeAddress: (resources: AsyncDisposableStack) => Promise<string>,
): void {
  const resources = new AsyncDisposableStack();
  let server: RotatingServer;
  let place: Place;
  let own: OpenStore;

  beforeAll(async () => {
    server = resources.use(await RotatingServer.start());
    place = { backend, address: await makeAddress(resources) };
    own = openStore(place);
    resources.defer(async () => {
      await own.store.clearAll();
      await own.close();
    });
  });
  afterAll(() => resources.disposeAsync());

  async function login(): Promise<OAuthTokens> {
    const tokens = server.login();
    await own.store.delete('user', 'session');
    await own.store.create({
      userId: 'user',
      sessionId: 'session',
      serverUrl: 'https://server',
      callbackUrl: 'https://callback',
      transportType: 'streamable-http',
      createdAt: Date.now(),
      status: 'active',
      tokens,
    });
    return tokens;
  }

  /** Of the twenty seconds of a lease, all but the last one pass at once. */
  async function letPass(): Promise<void> {
    const client = new Redis(place.address);
    const [lease = '', ...more] = await client.keys('mcp:*:l:*');
    expect(more).toEqual([]);
    expect(await client.pttl(lease)).toBeGreaterThan(1_000);
    await client.pexpire(lease, 1_000);
    client.disconnect();
  }

  const stored = async (): Promise<OAuthTokens | null | undefined> =>
    (await own.store.getCredentials('user', 'session'))?.tokens;

  const result = (process: NodeProcess): Promise<Answer> =>
    process.nextMessage((message: Answer) => !('presenting' in message), { timeoutMs: 40_000 });

  const presenting = (process: NodeProcess, stale: string): Promise<Answer> =>
    process.nextMessage((message: Answer) => 'presenting' in message && message.presenting === stale);

  it(`refresh/${backend}-once: ${PROCESSES} processes at once, each refresh token is presented once`, async () => {
    let stale = (await login()).access_token;
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const process of processes) process.send({ place, url: server.url, stale } satisfies Order);
      const answers = await Promise.all(processes.map(result));
      const pair = await stored();
      expect(answers.map((answer) => ('tokens' in answer ? answer.tokens : answer))).toEqual(processes.map(() => pair));
      expect(answers.filter((answer) => 'source' in answer && answer.source === 'refreshed')).toHaveLength(1);
      expect([...server.presented.values()]).toEqual(Array.from({ length: round }, () => 1));
      stale = pair?.access_token ?? '';
    }
    expect(server.revoked).toBe(false);
  }, 60_000);

  // It waits for the end of a lease, which is long; the conformance kit has shorter ones on every backend.
  if (backend === 'redis') {
    it(`refresh/${backend}-dead-holder: who dies before it presents the token keeps others waiting, not out`, async () => {
      const { access_token: stale } = await login();
      const [others, dying] = [processes.slice(0, 3), await start()];
      dying.send({ place, url: server.url, stale, dies: true } satisfies Order);
      await presenting(dying, stale);
      for (const process of others) process.send({ place, url: server.url, stale } satisfies Order);
      await dying.kill();
      await letPass();
      const answers = await Promise.all(others.map(result));
      const pair = await stored();
      expect(answers.map((answer) => ('tokens' in answer ? answer.tokens : answer))).toEqual(others.map(() => pair));
      expect([...server.presented.values()]).toEqual([1]);
    }, 60_000);
  }

  it(`refresh/${backend}-logout: who logs out while another refreshes stays out`, async () => {
    const { access_token: stale } = await login();
    server.delayMs = 1_000;
    const [refresher = expect.unreachable()] = processes;
    refresher.send({ place, url: server.url, stale } satisfies Order);
    await presenting(refresher, stale);
    await own.store.clearCredentials('user', 'session');
    const answer = await result(refresher);
    server.delayMs = 30;
    expect(answer).toEqual({ failed: expect.stringContaining('was changed by another writer') });
    expect(await stored()).toBeUndefined();
  }, 60_000);
}
