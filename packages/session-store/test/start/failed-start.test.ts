import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { inspect } from 'node:util';
import {
  createPostgresStorageBackend,
  createRedisStorageBackend,
  FileStorageBackend,
  type SessionStore,
  SessionStoreError,
} from '@tmcp/session-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPool } from '../sql-harness.ts';

const PASSWORD = 'SECRET-password';
const options = { encryption: false, operationTimeoutMs: 400, onError: () => undefined } as const;
/** Long enough for a busy machine to connect in vain: what was heard before the end is told. */
const patient = { ...options, operationTimeoutMs: 2_000 } as const;

/** A server that is not the one meant: it says nothing, or hangs up at once. */
async function listen(answer: 'nothing' | 'hang up'): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (answer === 'hang up') socket.destroy();
    else socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function failedStart(store: SessionStore): Promise<SessionStoreError> {
  const call = store.list('user');
  const [first, second] = await Promise.allSettled([store.init(), call]);
  await store.disconnect();
  if (first.status === 'fulfilled' || second.status === 'fulfilled') return expect.unreachable('it started');
  for (const error of [first.reason, second.reason] as unknown[]) {
    if (!SessionStoreError.is(error)) throw error;
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('SECRET');
    expect(JSON.stringify(error)).not.toContain('SECRET');
    // Hosts are nobody's business but the operator's.
    expect(error.message).not.toContain('127.0.0.1');
  }
  return first.reason as SessionStoreError;
}

describe('a start that fails says why', () => {
  let silent: Server;
  let rude: Server;
  let closed: number;
  beforeAll(async () => {
    silent = await listen('nothing');
    rude = await listen('hang up');
    const gone = await listen('nothing');
    closed = portOf(gone);
    await new Promise((resolve) => gone.close(resolve));
  });
  afterAll(() => {
    silent.close();
    rude.close();
  });

  const redis = (port: number, how: typeof options | typeof patient = options) =>
    createRedisStorageBackend(`redis://user:${PASSWORD}@127.0.0.1:${port}`, how);

  it('start/redis: what the driver said last, and what to do about it', async () => {
    expect(await failedStart(await redis(closed, patient))).toMatchObject({
      code: 'unavailable',
      message:
        'Storage backend redis is unavailable: init timed out after 2000 ms: nothing listens at the address, ' +
        'check that the server runs, and host and port (ECONNREFUSED)',
    });
    expect((await failedStart(await redis(portOf(silent)))).message).toBe(
      'Storage backend redis is unavailable: init timed out after 400 ms: no answer came, ' +
        'check that it can be reached where you say',
    );
    expect((await failedStart(await redis(portOf(rude)))).message).toMatch(
      /^Storage backend redis is unavailable: init /,
    );
  });

  it('start/postgres: the same', async () => {
    const failure = async (port: number): Promise<SessionStoreError> => {
      const pool = openPool({ connectionString: `postgresql://user:${PASSWORD}@127.0.0.1:${port}/db` });
      const error = await failedStart(createPostgresStorageBackend(pool, patient));
      await pool.end();
      return error;
    };
    expect(await failure(closed)).toMatchObject({
      code: 'unavailable',
      message:
        'Storage backend postgres is unavailable: init failed: nothing listens at the address, ' +
        'check that the server runs, and host and port (ECONNREFUSED)',
    });
    expect((await failure(portOf(rude))).message).toMatch(/: init failed: .*(Connection terminated|ECONNRESET)/);
  });

  it('start/file: a path that cannot be one', async () => {
    const folder = await mkdtemp(`${tmpdir()}/tmcp-start-`);
    expect(await failedStart(new FileStorageBackend({ path: folder, ...options }))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /^Storage backend file is unavailable: init failed at \S+tmcp-start-\w+ \(EISDIR\): check path, rights and space of the file$/,
      ),
    });
    await rm(folder, { recursive: true });
  });
});
