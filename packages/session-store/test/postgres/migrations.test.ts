import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FIELD_NAMES } from '../../src/sql/columns.ts';
import { migrate, migrationStatus } from '../../src/sql/migrations/migrate.ts';
import { MIGRATIONS, migrationsFor } from '../../src/sql/migrations/migrations.ts';
import { EXTEND, tableNames } from '../../src/sql/names.ts';
import { installTable, newRecord } from '../sql-harness.ts';
import { problemOf, withDriver } from './schema-harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const [install, , extend] = MIGRATIONS.map(({ sql }) => sql) as [string, string, string];

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

describe('migrate', () => {
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
