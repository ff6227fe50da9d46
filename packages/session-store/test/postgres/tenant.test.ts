import { Client, type Pool } from 'pg';
import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PostgresStorageBackend } from '../../src/postgres/index.ts';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import type { SqlSessionDriver } from '../../src/sql/sql-session-driver.ts';
import {
  installRole,
  installTable,
  installTenantPolicy,
  KEY,
  makeDriver,
  newRecord,
  openPool,
} from '../sql-harness.ts';

let server: PostgresServer;
let url: string;
let owner: Pool;
let tenants: Pool;
let admin: Pool;
let driver: SqlSessionDriver;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
  await installTable(url);
  tenants = openPool({ connectionString: await installRole(url), max: 5 });
  admin = openPool({ connectionString: await installRole(url, 'mcp_admin_role'), max: 5 });
  owner = openPool({ connectionString: url, max: 2 });
  await installTenantPolicy(url, 'mcp_admin_role');
  driver = makeDriver(poolConnection(tenants), { tenants: true, admin: poolConnection(admin) });
});
afterAll(async () => {
  await Promise.all([owner, tenants, admin].map((pool) => pool.end()));
  await server.stop();
});
beforeEach(() => owner.query('truncate public.mcp_sessions'));

/** The statement as the role of the application, for one user or for none. */
async function asTenant(userId: string | undefined, statement: string): Promise<number | null> {
  const client = await tenants.connect();
  try {
    await client.query('begin');
    if (userId !== undefined) await client.query(`select set_config('mcp.user_id', $1, true)`, [userId]);
    return (await client.query(statement)).rowCount;
  } finally {
    await client.query('rollback');
    client.release();
  }
}

describe('row-level security', () => {
  it('rls/blocks: another user, or none, sees and changes nothing', async () => {
    await driver.init();
    await driver.insert(newRecord());
    const statements = [
      'select from public.mcp_sessions',
      'delete from public.mcp_sessions',
      `update public.mcp_sessions set server_name = 'x'`,
    ];
    for (const statement of statements) {
      expect(await asTenant('user', statement)).toBe(1);
      expect(await asTenant('other', statement)).toBe(0);
      expect(await asTenant(undefined, statement)).toBe(0);
    }
    await expect(asTenant('user', `update public.mcp_sessions set user_id = 'other'`)).rejects.toMatchObject({
      code: '42501',
    });
    expect((await owner.query('select from public.mcp_sessions')).rowCount).toBe(1);
  });

  it('rls/nothing-stays: the setting is gone after each operation, on every connection of the pool', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => driver.insert(newRecord({ userId: `u${i}` }))));
    const clients = await Promise.all(Array.from({ length: 5 }, () => tenants.connect()));
    for (const client of clients) {
      const { rows } = await client.query(`select coalesce(current_setting('mcp.user_id', true), '') as setting`);
      expect(rows).toEqual([{ setting: '' }]);
      client.release();
    }
  });

  it('rls/all-users: what concerns all users needs the administrative client, and works with it', async () => {
    await driver.insert(newRecord());
    await driver.insert(newRecord({ userId: 'other' }));
    await driver.insert(newRecord({ userId: 'third', createdAt: 0 }));
    const keys = [];
    for await (const key of driver.scan()) keys.push(key.userId);
    expect(keys.sort()).toEqual(['other', 'user']);
    expect(await driver.sweep(10)).toEqual({ pending: 1, dormant: 0 });
    await driver.clear();
    expect((await owner.query('select from public.mcp_sessions')).rowCount).toBe(0);

    const store = new PostgresStorageBackend(tenants, { rls: 'tenant' });
    for (const [name, call] of [
      ['listAllIds', () => store.listAllIds()],
      ['clearAll', () => store.clearAll()],
      ['sweep', () => store.sweep()],
      ['rekey', () => store.rekey()],
    ] as const) {
      await expect(call()).rejects.toMatchObject({
        code: 'config',
        message: `${name} needs an administrative connection while tenant row-level security is on`,
      });
    }
  });

  it('rls/binds: init refuses roles and policies that let users see each other', async () => {
    const asOwner = makeDriver(poolConnection(owner), { tenants: true });
    await expect(asOwner.init()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining("rls: 'tenant' has no effect on public.mcp_sessions for this database role"),
    });
    await queryOnce(
      url,
      'create policy mcp_sessions_service on public.mcp_sessions for all to mcp_service_role using (true) with check (true)',
    );
    await expect(driver.init()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('another policy lets this role read all rows'),
    });
    await queryOnce(url, 'drop policy mcp_sessions_service on public.mcp_sessions');
    await driver.init();
    await queryOnce(url, 'drop policy mcp_sessions_admin on public.mcp_sessions');
    await expect(driver.init()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('The admin client sees no rows'),
    });
    await queryOnce(
      url,
      'create policy mcp_sessions_admin on public.mcp_sessions for all to mcp_admin_role using (true) with check (true)',
    );
    await driver.init();
  });

  it('rls/hidden: a client that names no user is told that it sees nothing, in place of an empty store', async () => {
    const store = new PostgresStorageBackend(tenants, { encryption: false });
    await expect(store.list('user')).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('Row-level security hides all rows of public.mcp_sessions'),
    });
    // The documented policy for one role, which does not separate users, is as good as none.
    const service = 'create policy mcp_sessions_service on public.mcp_sessions for all to mcp_service_role';
    await queryOnce(url, `${service} using (true) with check (true)`);
    expect(await store.list('user')).toEqual([]);
    await queryOnce(url, 'drop policy mcp_sessions_service on public.mcp_sessions');
  });

  it('rls/needs-transactions: a client without them is refused at once', () => {
    expect(() => new PostgresStorageBackend({ query: async () => ({ rows: [] }) }, { rls: 'tenant' })).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining('transactions') }),
    );
    // A single connection is shared with the application, whose statements would get into our transactions.
    expect(() => new PostgresStorageBackend(new Client({ connectionString: url }), { rls: 'tenant' })).toThrow(
      expect.objectContaining({ code: 'config' }),
    );
  });

  it('rls/own-transaction: a client with transactions of its own is used as it is', async () => {
    const names: string[] = [];
    const store = new PostgresStorageBackend(
      {
        query: (text, values) => tenants.query(text, values),
        transaction: async (statements) => {
          names.push(statements.map(({ text }) => text.trim().split(/\s/, 1)[0]).join(' '));
          const client = await tenants.connect();
          try {
            await client.query('begin');
            const answers = [];
            for (const { text, values } of statements) answers.push(await client.query(text, values));
            await client.query('commit');
            return answers;
          } finally {
            client.release();
          }
        },
      },
      { rls: 'tenant', encryption: false },
    );
    await store.create({
      ...KEY,
      serverUrl: 'http://s',
      callbackUrl: 'http://c',
      transportType: 'sse',
      createdAt: Date.now(),
    });
    expect(await store.listIds('user')).toEqual(['session']);
    expect(await store.listIds('other')).toEqual([]);
    expect(names).toEqual(['select insert', 'select select', 'select select']);
  });
});
