import { SessionError, type SessionErrorCode } from '@tmcp/session-manager';
import { Pool } from 'pg';
import { freePort, type PostgresServer, startPostgres } from 'test-support';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  PostgresStreamSessionManager,
  type PostgresStreamSessionManagerOptions,
  postgresSessions,
} from '../src/index.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

/** What managers of this application are told, and what their `onError` hears. */
function manager(options: PostgresStreamSessionManagerOptions): {
  readonly streams: PostgresStreamSessionManager;
  readonly errors: SessionError[];
} {
  const errors: SessionError[] = [];
  const streams = new PostgresStreamSessionManager({
    sendTimeoutMs: 1_000,
    onError: (error) => errors.push(error),
    ...options,
  });
  open.push(streams);
  return { streams, errors };
}

function controller(): ReadableStreamDefaultController {
  let made: ReadableStreamDefaultController | undefined;
  new ReadableStream({
    start(given) {
      made = given;
    },
  });
  if (!made) throw new Error('a stream starts at once');
  return made;
}

/** Every call is refused with this code and remedy, in time, and shows nothing of where the database is. */
async function expectRefusal(
  { streams, errors }: ReturnType<typeof manager>,
  code: SessionErrorCode,
  remedy: RegExp,
): Promise<void> {
  const started = performance.now();
  const calls = [streams.create('s', controller()), streams.has('other'), streams.publish(['s'], 'data: x\n\n')];
  // These report, and never reject.
  const silent = [streams.send(['s'], 'data: x\n\n'), streams.delete('other')];
  const health = streams.health();
  const failures = await Promise.all(calls.map((call) => call.then(String, (error: unknown) => error)));
  expect(failures.map((failure) => (SessionError.is(failure) ? failure.code : failure))).toEqual([code, code, code]);
  await Promise.all(silent);
  expect(performance.now() - started).toBeLessThan(8_000);
  expect(errors.length).toBeGreaterThan(0);
  for (const error of [...failures, ...errors] as SessionError[]) {
    expect(error.message).not.toMatch(/top-secret|127\.0\.0\.1|localhost|postgres:\/\//);
  }
  expect((failures[0] as SessionError).message).toMatch(remedy);
  expect(await health).toMatchObject({ ok: false, error: { name: 'SessionError' } });
}

describe('bad input', () => {
  it('bad-input/password: a wrong password is refused, and says what to check', async () => {
    const url = server.url.replace('top-secret-password', 'top-secret-guess');
    await expectRefusal(manager({ connectionString: url }), 'refused', /check user and password/);
  });

  it('bad-input/database: a database that does not exist is refused, and names the option', async () => {
    const url = server.url.replace(/\/[^/]*$/, '/no_such_database');
    await expectRefusal(manager({ connectionString: url }), 'refused', /check "connectionString"/);
  });

  it('bad-input/unreachable: a server that is not there is waited for until the deadline', async () => {
    const url = `postgres://user:top-secret-password@127.0.0.1:${await freePort()}/app`;
    const { streams } = manager({ connectionString: url });
    const failures = await Promise.all(
      [streams.create('s', controller()), streams.has('other'), streams.publish(['s'], 'data: x\n\n')].map((call) =>
        call.then(String, (error: unknown) => (SessionError.is(error) ? error.code : error)),
      ),
    );
    expect(failures.map((code) => code === 'unavailable' || code === 'timeout')).toEqual([true, true, true]);
  });

  it('bad-input/tables-missing: without `create` missing tables are an error that says how to make them', async () => {
    const url = await server.createDatabase();
    const bad = manager({ connectionString: url, create: false });
    await expectRefusal(bad, 'schema-missing', /npx tmcp-sessions-postgres sql/);
  });

  it('bad-input/no-permission: a role that may not create tables is told to let another one do it', async () => {
    const url = await server.createRole(await server.createDatabase());
    await expectRefusal(manager({ connectionString: url }), 'schema-missing', /may not create.*tmcp-sessions-postgres/);
  });

  it('bad-input/recovers: what was refused works as soon as its cause is gone', async () => {
    const url = await server.createDatabase();
    const { streams } = manager({ connectionString: url, create: false });
    await expect(streams.has('s')).rejects.toMatchObject({ code: 'schema-missing' });
    const maker = manager({ connectionString: url });
    await maker.streams.has('s');
    await expect.poll(() => streams.has('s').catch(() => 'refused'), { timeout: 10_000 }).toBe(false);
  });

  it.each<[string, object, RegExp]>([
    ['nothing to connect to', {}, /"connectionString" or "pool"/],
    ['two', { connectionString: 'postgres://db.example/app', pool: new Pool() }, /"connectionString" and "pool"/],
    ['a table name', { connectionString: 'postgres://db.example/app', tableName: 'a.b' }, /"tableName"/],
    ['a misspelt option', { connectionString: 'postgres://db.example/app', heartBeatMs: 1 }, /"heartBeatMs"/],
    ['a duration', { connectionString: 'postgres://db.example/app', heartbeatMs: '3s' }, /"heartbeatMs"/],
  ])('bad-input/options: %s', (_, options, message) => {
    for (const make of [
      () => new PostgresStreamSessionManager(options as PostgresStreamSessionManagerOptions),
      () => postgresSessions(options as PostgresStreamSessionManagerOptions),
    ]) {
      expect(make).toThrowError(
        expect.objectContaining({ code: 'invalid-option', message: expect.stringMatching(message) }),
      );
    }
  });

  it('bad-input/ids: an id that is too long, or holds control characters, is refused and harms nobody', async () => {
    const { streams } = manager({ connectionString: server.url });
    for (const id of ['', 'x'.repeat(1_025), 'a\nb', '\ud800', 'é'.repeat(513)]) {
      await expect(streams.create(id, controller())).rejects.toMatchObject({ code: 'invalid-id' });
      await expect(streams.has(id)).rejects.toMatchObject({ code: 'invalid-id' });
      await expect(streams.publish([id], 'data: x\n\n')).rejects.toMatchObject({ code: 'invalid-id' });
    }
    await expect(streams.has('x'.repeat(1_024))).resolves.toBe(false);
  });

  it('bad-input/closed: a closed manager says so, however often it is closed', async () => {
    const { streams, errors } = manager({ connectionString: server.url });
    await streams.has('s');
    await Promise.all([streams.close(), streams.close()]);
    await streams.close();
    await expect(streams.create('s', controller())).rejects.toMatchObject({ code: 'closed' });
    await expect(streams.has('s')).rejects.toMatchObject({ code: 'closed' });
    await expect(streams.publish(['s'], 'data: x\n\n')).rejects.toMatchObject({ code: 'closed' });
    await streams.send(['s'], 'data: x\n\n');
    await streams.delete('s');
    expect(errors.map(({ code }) => code)).toEqual(['closed', 'closed']);
  });
});
