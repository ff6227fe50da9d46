import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SessionStoreError } from '../../src/errors.ts';
import { FIELD_NAMES } from '../../src/sql/columns.ts';
import { migrate, migrationStatus } from '../../src/sql/migrations/migrate.ts';
import { MIGRATIONS, migrationsFor } from '../../src/sql/migrations/migrations.ts';
import { EXTEND, INSTALL, tableNames } from '../../src/sql/names.ts';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import type { SqlSessionDriver } from '../../src/sql/sql-session-driver.ts';
import { installRole, installTable, KEY, makeDriver, newRecord, openPool } from '../sql-harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const [install, , extend] = MIGRATIONS.map(({ sql }) => sql) as [string, string, string];

async function withDriver<T>(
  url: string,
  use: (driver: SqlSessionDriver) => Promise<T>,
  options: Parameters<typeof makeDriver>[1] = {},
): Promise<T> {
  const pool = openPool({ connectionString: url, max: 4 });
  try {
    return await use(makeDriver(poolConnection(pool), options));
  } finally {
    await pool.end();
  }
}

/** What `init` rejects with, as code and message. */
function problemOf(url: string, options: Parameters<typeof makeDriver>[1] = {}): Promise<string | undefined> {
  return withDriver(
    url,
    (driver) =>
      driver.init().then(
        () => undefined,
        (error: unknown) => (SessionStoreError.is(error) ? `${error.code}: ${error.message}` : String(error)),
      ),
    options,
  );
}

describe('files', () => {
  it('migrations/files: the shipped files and the texts of the code are the same', () => {
    const folder = fileURLToPath(new URL('../../migrations/neon/', import.meta.url));
    expect(readdirSync(folder).sort()).toEqual(MIGRATIONS.map(({ name }) => name));
    for (const { name, sql } of MIGRATIONS) expect(readFileSync(`${folder}${name}`, 'utf8')).toBe(sql);
  });
});

describe('applying', () => {
  it('migrations/repeatable: 1 and 2 each twice', async () => {
    const url = await server.createDatabase();
    for (const sql of [install, install, extend, extend]) await queryOnce(url, sql);
    expect(await problemOf(url)).toBeUndefined();
    await withDriver(url, async (driver) => {
      expect(await driver.insert(newRecord())).toBe('ok');
      expect(await driver.insert(newRecord({ userId: 'another' }))).toBe('ok');
    });
  });

  it('migrations/first-again: 1 once more after 2 is noticed, and 2 repairs it', async () => {
    const url = await server.createDatabase();
    await installTable(url);
    await queryOnce(url, install);
    expect(await problemOf(url)).toBe(
      `schema: Trigger trg_mcp_sessions_updated_at is outdated: run migration ${EXTEND} again`,
    );
    await queryOnce(url, extend);
    expect(await problemOf(url)).toBeUndefined();
  });

  it('migrations/filled-table: a filled table of the documented form is upgraded in place', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, install);
    await queryOnce(
      url,
      `insert into public.mcp_sessions (session_id, user_id, server_url, transport_type, callback_url, expires_at, active, tokens, code_verifier, updated_at)
       values ('live', 'user', 'http://s', 'sse', 'http://c', now(), true, '{"access_token": "t"}', null, now() - interval '1 day'),
         ('pending', 'user', 'http://s', 'sse', 'http://c', now() + interval '5 minutes', false, null, 'verifier', now()),
         ('gone', 'user', 'http://s', 'sse', 'http://c', now() - interval '1 second', false, null, null, now())`,
    );
    const before = await queryOnce(
      url,
      'select session_id, updated_at::text, created_at::text from public.mcp_sessions',
    );
    await queryOnce(url, extend);
    expect(
      await queryOnce(url, 'select session_id, updated_at::text, created_at::text from public.mcp_sessions'),
    ).toEqual(before);
    await withDriver(url, async (driver) => {
      await driver.init();
      const { records } = await driver.readUser('user', { fields: FIELD_NAMES, limit: 10, after: undefined });
      expect(records.map(({ sessionId, status, version }) => [sessionId, status, version])).toEqual([
        ['live', 'active', 1],
        ['pending', 'pending', 1],
      ]);
      expect(records[1]?.fields.codeVerifier).toBe('"verifier"');
      expect(records[1]?.pendingSince).toBe(records[1]?.createdAt);
      expect(
        await driver.patch({ userId: 'user', sessionId: 'live' }, { kind: 'content', set: {}, unset: ['tokens'] }),
      ).toEqual({ version: 2 });
    });
  });

  it('migrations/nothing-of-others: 2 leaves the function that other tables use, and adds its own', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, install);
    const source = `select prosrc from pg_proc where proname = 'set_current_timestamp_updated_at'`;
    await queryOnce(
      url,
      `create or replace function public.set_current_timestamp_updated_at() returns trigger language plpgsql as 'begin new.updated_at = now() - interval ''1 s''; return new; end'`,
    );
    const before = await queryOnce(url, source);
    await queryOnce(url, extend);
    expect(await queryOnce(url, source)).toEqual(before);
  });
});

describe('init', () => {
  it('init/no-table, init/no-columns: names the migration that is missing', async () => {
    const url = await server.createDatabase();
    expect(await problemOf(url)).toBe(`schema: Table public.mcp_sessions not found: run migration ${INSTALL}`);
    await queryOnce(url, install);
    expect(await problemOf(url)).toBe(
      `schema: Column auth_url missing in public.mcp_sessions: run migration ${EXTEND}`,
    );
  });

  it('init/missing-later: statements name what is missing as well', async () => {
    const url = await server.createDatabase();
    await withDriver(url, async (driver) => {
      await expect(driver.read(KEY, [])).rejects.toMatchObject({
        code: 'schema',
        message: `Table public.mcp_sessions not found: run migration ${INSTALL}`,
      });
      await queryOnce(url, install);
      await expect(driver.read(KEY, [])).rejects.toMatchObject({
        code: 'schema',
        message: expect.stringMatching(
          /^Column (version|pending_since) missing in public\.mcp_sessions: run migration/,
        ),
      });
      await expect(driver.insert(newRecord())).rejects.toMatchObject({ code: 'schema', outcome: 'not-applied' });
    });
  });

  it('init/unique-key: notices that the session id alone is unique, or nothing is', async () => {
    const url = await server.createDatabase();
    await installTable(url);
    await queryOnce(url, 'alter table public.mcp_sessions add unique (session_id)');
    const message = `schema: Unique key (user_id, session_id) missing in public.mcp_sessions: run migration ${EXTEND}`;
    expect(await problemOf(url)).toBe(message);
    await queryOnce(url, extend);
    expect(await problemOf(url)).toBeUndefined();
    await queryOnce(url, 'drop index public.uq_mcp_sessions_user_session');
    expect(await problemOf(url)).toBe(message);
    await withDriver(url, (driver) =>
      expect(driver.insert(newRecord())).rejects.toMatchObject({ code: 'schema', message: message.slice(8) }),
    );
  });

  it('init/rights: the documented grants are enough, and each one that is missing is named', async () => {
    const url = await server.createDatabase();
    await installTable(url);
    const roleUrl = await installRole(url);
    expect(await problemOf(roleUrl)).toBeUndefined();
    await withDriver(roleUrl, async (driver) => {
      await driver.insert(newRecord());
      await driver.patch(KEY, { kind: 'content', set: {}, unset: [] });
      await driver.acquireLease(KEY, 'a', 1_000);
      await driver.releaseLease(KEY, 'a');
      expect(await driver.sweep(10)).toEqual({ pending: 0, dormant: 0 });
      await driver.remove(KEY);
      await driver.clear();
    });
    await queryOnce(url, 'revoke update on public.mcp_sessions from mcp_service_role');
    expect(await problemOf(roleUrl)).toBe('schema: The database role may not update public.mcp_sessions');
    await withDriver(roleUrl, (driver) =>
      expect(driver.patch(KEY, { kind: 'touch', set: {}, unset: [] })).rejects.toMatchObject({
        code: 'schema',
        message: 'The database role may not update public.mcp_sessions',
        outcome: 'not-applied',
      }),
    );
  });

  it('init/no-changes: never changes the schema', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, install);
    const catalog = `select count(*)::text from pg_attribute where attrelid = 'public.mcp_sessions'::regclass`;
    const before = await queryOnce(url, catalog);
    await problemOf(url);
    expect(await queryOnce(url, catalog)).toEqual(before);
  });
});

describe('other names', () => {
  it('migrations/other-names: two tables stand beside each other, with all that belongs to them', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, 'create schema "Own"');
    const names = [
      tableNames('public', 'mcp_sessions'),
      tableNames('public', 'other'),
      tableNames('Own', 'Sessions_2'),
    ];
    for (const name of names) for (const { sql } of migrationsFor(name, false)) await queryOnce(url, sql);
    for (const { schema, table } of names) {
      expect(await problemOf(url, { schema, table })).toBeUndefined();
      await withDriver(url, async (driver) => expect(await driver.insert(newRecord())).toBe('ok'), { schema, table });
      const [row] = await queryOnce(
        url,
        'select count(*)::int as n from pg_indexes where schemaname = $1 and tablename = $2',
        [schema, table],
      );
      expect(row?.n).toBe(5);
    }
    expect(() => tableNames('public', 'x"; drop table y')).toThrow(/Option table must be/);
    expect(() => migrationsFor(tableNames('public', 'x'.repeat(41)), false)).toThrow(RangeError);
  });
});

function cli(args: string[], url?: string): Promise<{ code: number; out: string; err: string }> {
  const program = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  const { NEON_DATABASE_URL: _neon, DATABASE_URL: _database, ...environment } = process.env;
  const env = url === undefined ? environment : { ...environment, DATABASE_URL: url };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('command line', () => {
  it('cli/sql: what it prints can be applied', async () => {
    const url = await server.createDatabase();
    const { code, out } = await cli(['sql']);
    expect(code).toBe(0);
    expect(out).not.toContain('pg_cron');
    await queryOnce(url, out);
    expect(await problemOf(url)).toBeUndefined();
    expect((await cli(['sql', '--cron'])).out).toContain('mcp-cleanup-dormant-sessions');
  });

  it('cli/migrate: applies what is missing, once, and status tells', async () => {
    const url = await server.createDatabase();
    const before = await cli(['status'], url);
    expect(before.code).toBe(1);
    expect(before.out).toContain(`missing  ${INSTALL}`);
    expect(before.out).toContain(`Table public.mcp_sessions not found: run migration ${INSTALL}`);
    expect((await cli(['migrate'], url)).out).toBe(`applied  ${INSTALL}\napplied  ${EXTEND}\n`);
    expect((await cli(['migrate'], url)).out).toBe('Nothing to do\n');
    const after = await cli(['status'], url);
    expect(after).toMatchObject({ code: 0, out: expect.stringContaining(`applied  ${EXTEND}`) });
    expect(after.out).toContain('The table is ready');
    const rows = await queryOnce(
      url,
      'select name, length(checksum) as n from public.mcp_schema_migrations order by name',
    );
    expect(rows).toEqual([
      { name: INSTALL, n: 64 },
      { name: EXTEND, n: 64 },
    ]);
  });

  it('cli/repair: a table that others have changed is repaired', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, install); // By hand, as the page says.
    expect((await cli(['migrate'], url)).code).toBe(0);
    await queryOnce(url, install);
    expect((await cli(['status'], url)).code).toBe(1);
    expect((await cli(['migrate'], url)).out).toContain(EXTEND);
    expect(await problemOf(url)).toBeUndefined();
  });

  it('cli/checksum: another text under a known name stops everything', async () => {
    const url = await server.createDatabase();
    await cli(['migrate'], url);
    await queryOnce(url, `update public.mcp_schema_migrations set checksum = 'x' where name = '${INSTALL}'`);
    const result = await cli(['migrate'], url);
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain('was applied with another text');
    expect((await cli(['status'], url)).out).toContain(`changed  ${INSTALL}`);
  });

  it('cli/failures: are told on stderr, without the connection string', async () => {
    expect(await cli([])).toMatchObject({ code: 1, err: expect.stringContaining('The command is sql') });
    const help = (await cli(['--help'])).out.trim();
    for (const args of [[], ['sql', 'postgresql://u:hidden-secret@host'], ['--hidden-secret=1'], ['sql', '--schema']]) {
      const { code, out, err } = await cli(args);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err.trim().endsWith(help)).toBe(true);
      expect(err).not.toContain('hidden-secret');
    }
    expect(await cli(['status'])).toMatchObject({ code: 1, err: expect.stringContaining('Set NEON_DATABASE_URL') });
    for (const url of [
      'postgresql://u:hidden-secret@127.0.0.1:1/db',
      'postgresql://u:hidden-secret@[bad',
      'hidden-secret',
    ]) {
      const result = await cli(['status'], url);
      expect(result.code).toBe(1);
      expect(result.err.length).toBeGreaterThan(3);
      expect(result.out + result.err).not.toContain('hidden-secret');
    }
  });

  it('migrate/at-once: of many at the same time one applies them, and the others find everything done', async () => {
    const url = await server.createDatabase();
    await queryOnce(
      url,
      `alter database "${new URL(url).pathname.slice(1)}" set default_transaction_isolation = 'repeatable read'`,
    );
    const clients = Array.from({ length: 6 }, () => new Client({ connectionString: url }));
    await Promise.all(clients.map((client) => client.connect()));
    const results = await Promise.all(clients.map((client) => migrate(client, { names: tableNames(), cron: false })));
    expect(results.filter((ran) => ran.length === 2)).toHaveLength(1);
    expect(results.filter((ran) => ran.length === 0)).toHaveLength(5);
    await Promise.all(clients.map((client) => client.end()));
  });

  it('migrate/secured: an owner whom row-level security binds can migrate', async () => {
    const url = await server.createDatabase();
    const ownerUrl = await server.createRole(url);
    await queryOnce(url, `alter schema public owner to "${new URL(ownerUrl).username}"`);
    const client = new Client({ connectionString: ownerUrl });
    await client.connect();
    const options = { names: tableNames(), cron: false };
    await migrate(client, options);
    await client.query('alter table public.mcp_sessions enable row level security, force row level security');
    expect(await migrate(client, options)).toEqual([]);
    expect((await migrationStatus(client, options)).problem).toBeUndefined();
    expect(await problemOf(ownerUrl)).toContain('Row-level security hides all rows');
    await client.end();
  });

  it('migrate/all-or-nothing: a failure in the middle leaves nothing behind', async () => {
    const url = await server.createDatabase();
    const client = new Client({ connectionString: url });
    await client.connect();
    // There is no pg_cron in the server from npm.
    await expect(migrate(client, { names: tableNames(), cron: true })).rejects.toThrow();
    expect(await queryOnce(url, `select tablename from pg_tables where schemaname = 'public'`)).toEqual([]);
    await client.end();
  });
});
