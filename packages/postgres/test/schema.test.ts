import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { DEFAULT_INFO_TABLES } from '../src/schema/info-names.ts';
import { printSql } from '../src/schema/print-sql.ts';
import { closeAfterEach, frame, listen, makeBackplane, openBackplane, Producer } from './harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
closeAfterEach();

const tablesOf = (url: string, schema = 'public'): Promise<string[]> =>
  queryOnce(url, 'select tablename::text as name from pg_tables where schemaname = $1 order by 1', [schema]).then(
    (rows) => rows.map(({ name }) => String(name)),
  );

const SQL = printSql({ schema: 'public', tableName: 'tmcp_sessions', tableNames: DEFAULT_INFO_TABLES });

const TABLES = ['', '_head', '_large', '_log', '_mark', '_migrations', '_node', '_producer'];

/** What `open` rejects with. */
async function failureOf(options: ConstructorParameters<typeof PostgresConnection>[0]): Promise<unknown> {
  const { listener } = listen();
  return makeBackplane(new PostgresConnection(options))
    .open('node', listener)
    .then(
      () => undefined,
      (error: unknown) => error,
    );
}

describe('creating', () => {
  it('schema/create: creates its tables beside each other, once', async () => {
    const url = await server.createDatabase();
    for (let i = 0; i < 2; i += 1) {
      const node = await openBackplane({ connectionString: url });
      await new Producer(node).append([frame('a', 'x')]);
      expect((await node.backplane.read(0)).parts).toHaveLength(i + 1);
      await node.backplane.close();
    }
    expect(await tablesOf(url)).toEqual(TABLES.map((suffix) => `tmcp_sessions${suffix}`));
  });

  it.each(['read committed', 'repeatable read'])(
    'schema/concurrent: eight that start at once under %s all work',
    async (level) => {
      const url = await server.createDatabase();
      await queryOnce(
        url,
        `alter database "${new URL(url).pathname.slice(1)}" set default_transaction_isolation = '${level}'`,
      );
      const nodes = await Promise.all(Array.from({ length: 8 }, () => openBackplane({ connectionString: url })));
      await Promise.all(nodes.map((node) => new Producer(node).append([frame('a', 'x')])));
      expect((await nodes[0]?.backplane.read(0))?.parts).toHaveLength(8);
      expect(await queryOnce(url, 'select id from tmcp_sessions_migrations order by id')).toEqual([
        { id: 1 },
        { id: 2 },
      ]);
    },
  );

  it('schema/names: a table name may have 40 bytes, capitals and letters of any script', async () => {
    const url = await server.createDatabase();
    for (const tableName of ['x'.repeat(40), 'Sitzungen-Ä_1', '語'.repeat(13)]) {
      const node = await openBackplane({ connectionString: url, tableName });
      const producer = new Producer(node);
      await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
      expect(await node.backplane.locate('a')).toBe('attached');
      expect(await tablesOf(url)).toEqual(expect.arrayContaining(TABLES.map((suffix) => tableName + suffix)));
      await node.backplane.maintain(MAINTAIN);
    }
  });

  it('schema/upgrade: the table of version 0.3.0 is upgraded in place, its short-lived rows go', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, 'create table tmcp_sessions (id text primary key, updated_at timestamp default now())');
    await queryOnce(url, "insert into tmcp_sessions (id) values ('old')");
    const node = await openBackplane({ connectionString: url });
    const producer = new Producer(node);
    expect(await node.backplane.locate('old')).toBeUndefined();
    const { claims } = await producer.control({ kind: 'claim', session: 'old', claim: 'c1' });
    expect(claims[0]?.previous).toBeUndefined();
    expect(
      await queryOnce(
        url,
        "select id, updated_at > now() at time zone 'UTC' - interval '1 minute' as fresh from tmcp_sessions",
      ),
    ).toEqual([{ id: 'old', fresh: true }]);
    const other = await openBackplane({ connectionString: url }, { namespace: 'other' });
    await new Producer(other).control({ kind: 'claim', session: 'old', claim: 'c2' });
  });

  it('schema/upgrade-messages: a name that version 0.3.0 gave to its notifications may stay', async () => {
    const url = await server.createDatabase();
    await queryOnce(
      url,
      'create table my_messages (id text primary key, value text not null, created_at timestamp not null default now())',
    );
    await queryOnce(url, "insert into my_messages (id, value) values ('old', '{}')");
    const node = await openBackplane({ connectionString: url, tableName: 'my_messages' });
    const producer = new Producer(node);
    await producer.control({ kind: 'claim', session: 'old', claim: 'c1' });
    expect(await node.backplane.locate('old')).toBe('attached');
  });

  it('schema/time-zones: ages do not depend on the time zone of a session', async () => {
    const url = await server.createDatabase();
    const node = await openBackplane({ connectionString: url });
    const producer = new Producer(node);
    await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
    await producer.control({ kind: 'release', session: 'a', claim: 'c1', detach: 1, sent: 1 });
    await queryOnce(url, `alter database "${new URL(url).pathname.slice(1)}" set timezone = 'Pacific/Kiritimati'`);
    const far = await openBackplane({ connectionString: url });
    const { silent } = await far.backplane.maintain({ ...MAINTAIN, sessionTimeoutMs: 1 });
    expect((await producer.control({ kind: 'claim', session: 'a', claim: 'c2' })).claims[0]?.previous?.claim).toBe(
      'c1',
    );
    await node.backplane.maintain({ ...MAINTAIN, remove: silent });
    expect((await node.backplane.inspect(node.node)).liveness).toBe('dead');
  });
});

describe('search paths', () => {
  it('schema/search-path: roles with different search paths find the same tables', async () => {
    const url = await server.createDatabase();
    const other = await server.createRole(url);
    const role = new URL(other).username;
    await queryOnce(url, 'create schema app');
    await queryOnce(url, 'create schema empty');
    await queryOnce(url, `grant usage, create on schema app, empty to "${role}"`);
    await queryOnce(url, `alter role "${role}" set search_path = empty, app`);
    const one = await openBackplane({ connectionString: `${url}?options=-c%20search_path%3Dapp` });
    await queryOnce(url, `grant all on all tables in schema app to "${role}"`);
    const two = await openBackplane({ connectionString: other });
    await new Producer(two).append([frame('a', 'x')]);
    expect((await one.backplane.read(0)).parts).toHaveLength(1);
    expect(await tablesOf(url, 'empty')).toEqual([]);
    const three = await openBackplane({ connectionString: url, schema: 'app' });
    expect((await three.backplane.read(0)).parts).toHaveLength(1);
  });

  it('schema/shadowed: a table of another schema that the path names first is never used', async () => {
    const url = await server.createDatabase();
    const one = await openBackplane({ connectionString: url });
    await new Producer(one).append([frame('a', 'x')]);
    await queryOnce(url, 'create schema decoy');
    await queryOnce(url, 'create table decoy.tmcp_sessions_log (like public.tmcp_sessions_log)');
    await queryOnce(url, 'create table decoy.tmcp_sessions_head (like public.tmcp_sessions_head)');
    const two = await openBackplane({ connectionString: `${url}?options=-c%20search_path%3Ddecoy%2Cpublic` });
    await new Producer(two).append([frame('a', 'y')]);
    expect((await one.backplane.read(0)).parts.map(({ data }) => data)).toEqual(['x', 'y']);
  });
});

describe('create: false, and rights', () => {
  it('schema/create-false: missing tables are an error that names the remedy, which works', async () => {
    const url = await server.createDatabase();
    const failure = await failureOf({ connectionString: url, create: false });
    expect(failure).toMatchObject({
      code: 'schema-missing',
      message: expect.stringContaining('npx tmcp-sessions-postgres sql'),
    });
    expect(await tablesOf(url)).toEqual([]);

    const { stdout } = await promisify(execFile)(process.execPath, [
      fileURLToPath(new URL('../src/cli.ts', import.meta.url)),
      'sql',
    ]);
    expect(stdout).toBe(`${SQL}\n`);
    for (let i = 0; i < 2; i += 1) await queryOnce(url, stdout);
    const node = await openBackplane({ connectionString: url, create: false });
    await new Producer(node).append([frame('a', 'x')]);
  });

  it('schema/cli: names that cannot be used are refused, and other words are answered with the usage', async () => {
    const run = (...words: string[]): Promise<{ stdout: string }> =>
      promisify(execFile)(process.execPath, [fileURLToPath(new URL('../src/cli.ts', import.meta.url)), ...words]);
    await expect(run('sql', '--table-name', "x'; drop")).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('"table-name" must be'),
    });
    await expect(run('create')).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('npx tmcp-sessions-postgres sql'),
    });
    expect((await run('--help')).stdout).toContain('npx tmcp-sessions-postgres sql');
    const { stdout } = await run('sql', '--schema', 'app', '--table-name', 'Streams', '--client-info', 'Info');
    for (const name of ['"app"."Streams_log"', '"app"."Info"', '"app"."tmcp_session_log_level"'])
      expect(stdout).toContain(name);
  });

  it('schema/outdated: a missing step counts as missing', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, SQL);
    await queryOnce(url, 'delete from tmcp_sessions_migrations where id = 2');
    expect(await failureOf({ connectionString: url, create: false })).toMatchObject({ code: 'schema-missing' });
    expect(await failureOf({ connectionString: url })).toBeUndefined();
  });

  it('schema/no-right-to-create: is the same error, and the database stays as it was', async () => {
    const url = await server.createDatabase();
    const role = await server.createRole(url);
    const failure = await failureOf({ connectionString: role });
    expect(failure).toMatchObject({ code: 'schema-missing', message: expect.stringContaining('may not create') });
    expect(await tablesOf(url)).toEqual([]);
  });

  it('schema/least-rights: a role that may only use the tables can do everything, with create left on', async () => {
    const url = await server.createDatabase();
    const role = await server.createRole(url);
    const user = new URL(role).username;
    await queryOnce(url, SQL);
    await queryOnce(url, `grant select, insert, update, delete on all tables in schema public to "${user}"`);
    const node = await openBackplane({ connectionString: role });
    const producer = new Producer(node);
    await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
    expect(await node.backplane.locate('a')).toBe('attached');
    await node.backplane.putLarge('l', 'large');
    await node.backplane.maintain(MAINTAIN);
    const { epoch } = await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    await node.backplane.renewEpoch(epoch);
    expect((await node.backplane.beat({ node: node.node, cursor: 0, check: 0 })).epoch).not.toBe(epoch);
  });

  it('schema/no-rights: a role without rights on the tables is refused, and told what it needs', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, SQL);
    const failure = await failureOf({ connectionString: await server.createRole(url) });
    expect(failure).toMatchObject({ code: 'refused', message: expect.stringContaining('grant') });
  });

  it('schema/secret-channel: a role without rights on the tables cannot find the channel', async () => {
    const url = await server.createDatabase();
    const node = await openBackplane({ connectionString: url });
    const role = await server.createRole(url);
    await expect(queryOnce(role, 'select channel from tmcp_sessions_head')).rejects.toMatchObject({ code: '42501' });
    const channels = await queryOnce(url, 'select channel from tmcp_sessions_head');
    expect(String(channels[0]?.channel)).toMatch(/^tmcp_[0-9a-f]{40}$/);
    await expect(
      queryOnce(
        role,
        `select * from tmcp_sessions_append('default', 'e', 'n', 'p', 1, 0, '{1}', '{1}', '{1}', 'hd', '{}', '{}', '{}', '{}', '{}', '{}', 'commit', 1000)`,
      ),
    ).rejects.toMatchObject({ code: '42501' });
    expect(node.heard.parts).toEqual([]);
  });

  it('schema/encoding: a database that cannot hold every character is refused', async () => {
    const name = 'latin';
    await server.query(`create database ${name} encoding 'LATIN1' locale 'C' template template0`);
    const url = Object.assign(new URL(server.url), { pathname: `/${name}` }).href;
    expect(await failureOf({ connectionString: url })).toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('UTF8'),
    });
  });
});

const MAINTAIN = {
  node: 'node',
  get asOf() {
    return Date.now() + 500;
  },
  sessionTimeoutMs: 10_000,
  forgetReleasedMs: 60_000,
  keepMs: 120_000,
  maxLogBytes: 1_000_000,
  producerIdleMs: 100_000,
  remove: [],
};
