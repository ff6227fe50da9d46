import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT, openInfo } from './info-harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const SUFFIXES = ['client_capabilities', 'client_info', 'log_level', 'subscriptions'];

const tablesOf = async (url: string): Promise<string[]> =>
  (await queryOnce(url, "select tablename::text as name from pg_tables where schemaname = 'public' order by 1")).map(
    ({ name }) => String(name),
  );

/** The tables of version 0.3.0, and what it put into them. */
async function databaseOfOldVersion(): Promise<string> {
  const url = await server.createDatabase();
  for (const suffix of SUFFIXES) {
    await queryOnce(url, `CREATE TABLE IF NOT EXISTS "tmcp_session_${suffix}" (id TEXT PRIMARY KEY, value TEXT)`);
  }
  const insert = (suffix: string, value: string | null, id = 'old') =>
    queryOnce(url, `INSERT INTO tmcp_session_${suffix} (id, value) VALUES ($1, $2)`, [id, value]);
  await insert('client_info', JSON.stringify(CLIENT));
  await insert('client_capabilities', JSON.stringify({ elicitation: {} }));
  await insert('log_level', JSON.stringify('debug'));
  await insert('subscriptions', 'test://one');
  await insert('subscriptions', null, 'empty');
  await insert('client_info', null, 'empty');
  return url;
}

describe('tables', () => {
  it('info-schema/create: are created by whoever comes first, once', async () => {
    const url = await server.createDatabase();
    const managers = Array.from({ length: 8 }, () => openInfo({ connectionString: url }));
    await Promise.all(managers.map((manager, i) => manager.setClientInfo(`s${i}`, CLIENT)));
    expect(managers.flatMap(({ codes }) => codes)).toEqual([]);
    expect(await tablesOf(url)).toEqual([
      'tmcp_session_client_capabilities',
      'tmcp_session_client_info',
      'tmcp_session_client_info_lifetimes',
      'tmcp_session_client_info_migrations',
      'tmcp_session_log_level',
      'tmcp_session_subscriptions',
    ]);
  });

  it('info-schema/names: may have 40 bytes, capitals and letters of any script, and keep their sessions apart', async () => {
    const url = await server.createDatabase();
    const names = ['x'.repeat(39), 'Sitzungen-Ä', '語'.repeat(12)];
    for (const name of names) {
      const tableNames = {
        clientCapabilities: `${name}1`,
        clientInfo: `${name}2`,
        logLevel: `${name}3`,
        subscriptions: `${name}4`,
      };
      const manager = openInfo({ connectionString: url, tableNames });
      await expect(manager.getClientInfo('s')).rejects.toMatchObject({ code: 'not-found' });
      await manager.setClientInfo('s', { ...CLIENT, name });
      await manager.addSubscription('s', 'test://r');
      expect(await manager.getClientInfo('s')).toMatchObject({ name });
      expect(await manager.getSubscriptions('test://r')).toEqual(['s']);
      expect(manager.codes).toEqual([]);
    }
    expect(await tablesOf(url)).toHaveLength(3 * 6);
  });

  it('info-schema/documented-columns: hold ids and JSON that a person can read', async () => {
    const url = await server.createDatabase();
    const manager = openInfo({ connectionString: url });
    await manager.setClientInfo('s', CLIENT);
    await manager.setLogLevel('s', 'debug');
    await manager.addSubscription('s', 'test://r');
    expect(await queryOnce(url, 'select id, value from tmcp_session_client_info')).toEqual([
      { id: 's', value: JSON.stringify(CLIENT) },
    ]);
    expect(await queryOnce(url, 'select id, value from tmcp_session_log_level')).toEqual([
      { id: 's', value: '"debug"' },
    ]);
    expect(await queryOnce(url, 'select id, value from tmcp_session_subscriptions')).toEqual([
      { id: 's', value: 'test://r' },
    ]);
  });

  it('info-schema/search-path: stand where the search path of any role of the same set-up finds them', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, 'create schema app');
    const inApp = `${url}?options=${encodeURIComponent('-c search_path=app,public')}`;
    await openInfo({ connectionString: inApp }).setClientInfo('s', CLIENT);
    expect(await tablesOf(url)).toEqual([]);
    expect(await openInfo({ connectionString: url, schema: 'app' }).getClientInfo('s')).toEqual(CLIENT);
  });

  it('info-schema/dropped: are created again when they go while a manager runs', async () => {
    const url = await server.createDatabase();
    const manager = openInfo({ connectionString: url });
    await manager.setClientInfo('s', CLIENT);
    await queryOnce(url, 'drop schema public cascade');
    await queryOnce(url, 'create schema public');
    await expect(manager.getClientInfo('s')).rejects.toMatchObject({ code: 'not-found' });
    await manager.setClientInfo('s', CLIENT);
    expect(await manager.getClientInfo('s')).toEqual(CLIENT);
  });
});

describe('tables of version 0.3.0', () => {
  it('info-schema/upgrade-read: are upgraded, and what stands in them is read', async () => {
    const url = await databaseOfOldVersion();
    const manager = openInfo({ connectionString: url });
    expect(await manager.getClientInfo('old')).toEqual(CLIENT);
    expect(await manager.getClientCapabilities('old')).toEqual({ elicitation: {} });
    expect(await manager.getLogLevel('old')).toBe('debug');
    expect(await manager.getSubscriptions('test://one')).toEqual(['old']);
    await expect(manager.getClientInfo('empty')).rejects.toMatchObject({ code: 'not-found' });
    const other = openInfo({ connectionString: url, namespace: 'other' });
    await expect(other.getClientInfo('old')).rejects.toMatchObject({ code: 'not-found' });
    expect(await other.getSubscriptions('test://one')).toEqual([]);
  });

  it('info-schema/upgrade-write: take many URIs per session afterwards, and sessions end as usual', async () => {
    const url = await databaseOfOldVersion();
    const manager = openInfo({ connectionString: url });
    await manager.addSubscription('old', 'test://two');
    await manager.addSubscription('old', 'test://one');
    await manager.setLogLevel('old', 'error');
    expect(await manager.getSubscriptions('test://one')).toEqual(['old']);
    expect(await manager.getSubscriptions('test://two')).toEqual(['old']);
    expect(await manager.getLogLevel('old')).toBe('error');
    await manager.delete('old');
    for (const suffix of SUFFIXES) {
      expect(await queryOnce(url, `select id from tmcp_session_${suffix} where id = 'old'`)).toEqual([]);
    }
    expect(manager.codes).toEqual([]);
  });

  it('info-schema/upgrade-race: are upgraded once by many processes that start together', async () => {
    const url = await databaseOfOldVersion();
    const managers = Array.from({ length: 8 }, () => openInfo({ connectionString: url }));
    expect(await Promise.all(managers.map((manager) => manager.getLogLevel('old')))).toEqual(Array(8).fill('debug'));
  });
});

describe('without the right to create', () => {
  it('info-schema/create-false: missing tables are an error that says what to do, until somebody creates them', async () => {
    const url = await server.createDatabase();
    const manager = openInfo({ connectionString: url, create: false });
    await expect(manager.getClientInfo('s')).rejects.toMatchObject({
      code: 'schema-missing',
      message: expect.stringMatching(/"create" is off.*npx tmcp-sessions-postgres sql/),
    });
    await expect(manager.setClientInfo('s', CLIENT)).rejects.toMatchObject({ code: 'schema-missing' });
    await manager.delete('s');
    expect(await manager.getSubscriptions('test://r')).toEqual([]);
    expect(await manager.health()).toMatchObject({ ok: false, error: { code: 'schema-missing' } });
    expect(await tablesOf(url)).toEqual([]);
    await openInfo({ connectionString: url }).setClientInfo('s', CLIENT);
    expect(await manager.getClientInfo('s')).toEqual(CLIENT);
    expect(manager.codes).toEqual(['schema-missing', 'schema-missing', 'schema-missing']);
  });

  it('info-schema/create-false-old: neither are old tables touched', async () => {
    const url = await databaseOfOldVersion();
    const manager = openInfo({ connectionString: url, create: false });
    await expect(manager.getClientInfo('old')).rejects.toMatchObject({ code: 'schema-missing' });
    expect(await queryOnce(url, "select 1 from pg_attribute where attname = 'ns'")).toEqual([]);
  });

  it('info-schema/no-right-to-create: a role that may not create is told so, and uses what another one created', async () => {
    const url = await server.createDatabase();
    const role = await server.createRole(url);
    await queryOnce(url, 'revoke create on schema public from public');
    const manager = openInfo({ connectionString: role });
    await expect(manager.getClientInfo('s')).rejects.toMatchObject({
      code: 'schema-missing',
      message: expect.stringContaining('may not create'),
    });
    await openInfo({ connectionString: url }).setClientInfo('s', CLIENT);
    await queryOnce(
      url,
      `grant select, insert, update, delete on all tables in schema public to "${new URL(role).username}"`,
    );
    expect(await manager.getClientInfo('s')).toEqual(CLIENT);
    await manager.delete('s');
    await expect(manager.getClientInfo('s')).rejects.toMatchObject({ code: 'not-found' });
    expect(manager.codes).toEqual([]);
  });

  it('info-schema/no-right-to-write: a role that may only read is refused without harm', async () => {
    const url = await server.createDatabase();
    const role = await server.createRole(url);
    await openInfo({ connectionString: url }).setClientInfo('s', CLIENT);
    await queryOnce(url, `grant select on all tables in schema public to "${new URL(role).username}"`);
    const manager = openInfo({ connectionString: role });
    await expect(manager.setClientInfo('s', CLIENT)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('lacks a right'),
    });
    expect(manager.codes).toEqual(['refused']);
    expect(manager.errors[0]?.message).not.toContain(new URL(role).username);
  });
});
