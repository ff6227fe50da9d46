import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SessionStoreError, sessions } from '@tmcp/session-store';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EnvironmentSessions } from '../../src/environment-sessions.ts';

const VARIABLES = [
  'MCP_TS_STORAGE_TYPE',
  'REDIS_URL',
  'NEON_DATABASE_URL',
  'DATABASE_URL',
  'MCP_TS_STORAGE_FILE',
  'MCP_TS_STORAGE_SQLITE_PATH',
  'SUPABASE_URL',
  'STORAGE_ENCRYPTION_KEY',
  'STORAGE_ENCRYPTION_KEYS',
  'NODE_ENV',
];

const session = (sessionId = 's') => ({
  sessionId,
  userId: 'u',
  serverUrl: 'https://mcp.example',
  callbackUrl: 'https://app.example',
  transportType: 'sse' as const,
  createdAt: Date.now(),
  tokens: { access_token: 'SECRET-access', token_type: 'Bearer' },
});

let folder: string;
let reports: SessionStoreError[];
let store: EnvironmentSessions;

beforeEach(async () => {
  for (const name of VARIABLES) vi.stubEnv(name, undefined);
  folder = await mkdtemp(join(tmpdir(), 'sessions-'));
  reports = [];
  store = new EnvironmentSessions({ onError: (error) => reports.push(error) });
});

afterEach(async () => {
  await store.disconnect();
  await sessions.disconnect();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const warnings = (): string[] => reports.map((report) => report.message);

describe('sessions', () => {
  it('sessions/settles: awaiting or returning it ends at once, and ids are made without waiting', async () => {
    expect(await sessions).toBe(sessions);
    expect(await Promise.resolve(sessions)).toBe(sessions);
    expect(await (async () => sessions)()).toBe(sessions);
    expect('then' in sessions).toBe(false);
    expect(sessions.generateSessionId()).toMatch(/^[A-Za-z][A-Za-z0-9]{22}$/);
  });

  it('sessions/memory: with nothing configured sessions are kept in memory', async () => {
    await store.create(session());
    expect(await store.listAllIds()).toEqual(['s']);
    expect(await store.health()).toMatchObject({ ok: true, backend: 'memory', warnings: [] });
    expect(reports).toEqual([]);
  });

  it('sessions/file: the whole interface works on the backend of the environment', async () => {
    vi.stubEnv('MCP_TS_STORAGE_FILE', join(folder, 's.json'));
    await store.create(session());
    await store.update('u', 's', { status: 'active' });
    await store.touch('u', 's');
    expect(await store.list('u')).toHaveLength(1);
    expect((await store.listPage('u', { limit: 1 })).nextCursor).toBeNull();
    expect(await store.listIds('u')).toEqual(['s']);
    await store.patchCredentials('u', 's', { oauthState: { nonce: 'n', createdAt: Date.now() } });
    expect(await store.consumeOAuthState('u', 's', 'n')).not.toBeNull();
    expect((await store.getCredentials('u', 's'))?.tokens?.access_token).toBe('SECRET-access');
    expect(await store.withLock('u', 's', async () => 1)).toBe(1);
    await store.update('u', 's', { tokens: { access_token: 'a', token_type: 'b', refresh_token: 'r' } });
    const refreshed = await store.refreshTokens('u', 's', async () => ({ access_token: 'a2', token_type: 'b' }));
    expect(refreshed.source).toBe('refreshed');
    const ids: string[] = [];
    for await (const id of store.iterateAllIds()) ids.push(id);
    expect(ids).toEqual(await store.listAllIds());
    await store.clearCredentials('u', 's');
    await store.delete('u', 's');
    expect(await store.sweep()).toEqual({ pending: 0, dormant: 0 });
    await store.cleanupExpired();
    await store.clearAll();
    expect(await store.get('u', 's')).toBeNull();
    expect(await store.health()).toMatchObject({ ok: true, backend: 'file' });
  });

  it('sessions/anew: after disconnect the next call reads the environment again', async () => {
    await store.create(session());
    await store.disconnect();
    await store.disconnect();
    vi.stubEnv('MCP_TS_STORAGE_FILE', join(folder, 's.json'));
    expect(await store.get('u', 's')).toBeNull();
    await store.create(session());
    await store.disconnect();
    expect((await store.get('u', 's'))?.sessionId).toBe('s');
  });

  it('sessions/mutations: listeners hear of changes on every backend that it opens, and connect none', async () => {
    const told: unknown[] = [];
    const end = store.onMutation(({ type, ...rest }) => told.push([type, 'sessionId' in rest && rest.sessionId]));
    await store.create(session());
    await store.disconnect();
    vi.stubEnv('MCP_TS_STORAGE_FILE', join(folder, 's.json'));
    await store.create(session());
    await store.clearAll();
    end();
    await store.create(session());
    expect(told).toEqual([
      ['create', 's'],
      ['create', 's'],
      ['clear', false],
    ]);
  });

  it('sessions/one-start: concurrent first calls share a backend', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, at) => store.create(session(`s${at}`))));
    expect(await store.listIds('u')).toHaveLength(10);
  });

  it('sessions/failed-start: it is an error on every call, and tried again by the next one', async () => {
    const path = join(folder, 's.json');
    await writeFile(path, '{ not json SECRET');
    vi.stubEnv('MCP_TS_STORAGE_FILE', path);
    const message = 'The session file is not valid: it is not JSON; it was left unchanged';
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'corrupt', message });
    await expect(store.create(session())).rejects.toMatchObject({ code: 'corrupt', message });
    expect(await store.health()).toMatchObject({ ok: false, backend: 'file', error: 'corrupt' });
    expect(await readFile(path, 'utf8')).toBe('{ not json SECRET');
    await writeFile(path, '');
    await store.create(session());
    expect(await store.health()).toMatchObject({ ok: true });
  });

  it('sessions/no-fall-back: a backend that is down is an error of every method, not memory', async () => {
    vi.stubEnv('REDIS_URL', `redis://:SECRET@127.0.0.1:${await closedPort()}`);
    store = new EnvironmentSessions({ onError: (error) => reports.push(error), operationTimeoutMs: 300 });
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.get('u', 's'),
      () => store.list('u'),
      () => store.listIds('u'),
      () => store.create(session()),
      () => store.update('u', 's', { serverName: 'x' }),
      () => store.delete('u', 's'),
      () => store.listAllIds(),
      () => store.cleanupExpired(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    const outcomes = await Promise.all(calls.map((call) => call().catch((error: SessionStoreError) => error.outcome)));
    const [read, write] = [undefined, 'not-applied'];
    expect(outcomes).toEqual([read, read, read, write, write, write, read, write]);
    expect(await store.health()).toMatchObject({ ok: false, backend: 'redis', error: 'unavailable' });
    expect(JSON.stringify(reports.map((report) => [report.message, String(report.cause)]))).not.toContain('SECRET');
  });

  it('sessions/production: memory, and other backends without a key, are worth one warning each', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    await store.create(session());
    expect(warnings()).toEqual(['Sessions are kept in memory and are lost when the process ends']);
    expect((await store.health()).warnings).toEqual(warnings());
    vi.stubEnv('MCP_TS_STORAGE_FILE', join(folder, 's.json'));
    for (let round = 0; round < 3; round += 1) {
      await store.disconnect();
      await store.get('u', 's');
    }
    expect(warnings().slice(1)).toEqual(['No encryption key configured: credentials are stored in plain text']);
    expect(reports.map((report) => report.severity)).toEqual(['warning', 'warning']);
    vi.stubEnv('STORAGE_ENCRYPTION_KEY', '7'.repeat(64));
    await store.disconnect();
    await store.create(session());
    expect(reports).toHaveLength(2);
    expect(await readFile(join(folder, 's.json'), 'utf8')).not.toContain('SECRET');
  });

  it('sessions/several: the warning comes once, on the default handler as well', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    vi.stubEnv('MCP_TS_STORAGE_FILE', join(folder, 's.json'));
    vi.stubEnv('NEON_DATABASE_URL', 'postgresql://u:SECRET@127.0.0.1/db');
    const failing = new EnvironmentSessions({ operationTimeoutMs: 200 });
    await expect(failing.get('u', 's')).rejects.toMatchObject({
      code: expect.stringMatching(/^(unavailable|config)$/),
    });
    await expect(failing.get('u', 's')).rejects.toThrow();
    expect(printed.mock.calls.flat().filter((line) => String(line).includes('Several storage backends'))).toHaveLength(
      1,
    );
    expect(printed.mock.calls.flat().join()).not.toContain('SECRET');
    printed.mockRestore();
  });

  it('sessions/bad-key: a key that is none is refused at the start', async () => {
    for (const [name, value] of [
      ['STORAGE_ENCRYPTION_KEY', 'SECRET'],
      ['STORAGE_ENCRYPTION_KEY', 'ab'.repeat(31)],
      ['STORAGE_ENCRYPTION_KEY', 'ab'.repeat(33)],
      ['STORAGE_ENCRYPTION_KEY', 'zz'.repeat(32)],
      ['STORAGE_ENCRYPTION_KEY', `k1:${'ab'.repeat(32)}`],
      ['STORAGE_ENCRYPTION_KEY', btoa('x'.repeat(31))],
      ['STORAGE_ENCRYPTION_KEYS', `k1:${'ab'.repeat(32)},k2:SECRET`],
    ] as const) {
      vi.stubEnv(name, value);
      await expect(store.get('u', 's')).rejects.toMatchObject({
        code: 'config',
        message: `${name} must be 64 hexadecimal characters or 32 bytes in base64`,
      });
      vi.stubEnv(name, undefined);
    }
    expect(await store.get('u', 's')).toBeNull();
  });
});

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : expect.unreachable();
}
