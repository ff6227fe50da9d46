import { Client, type Pool } from 'pg';
import { type KitPostgres, kitPostgres, pgBouncer, startPgBouncer } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresStorageBackend, type PostgresStorageBackend } from '../../src/postgres/index.ts';
import type { Session } from '../../src/session.ts';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import { swappedRecordCases } from '../encryption/swapped-records.ts';
import { installRole, installTable, installTenantPolicy, makeDriver, openPool } from '../sql-harness.ts';

const SESSION: Session = {
  userId: 'user',
  sessionId: 'session',
  serverUrl: 'https://server.example/mcp',
  callbackUrl: 'https://app.example/callback',
  transportType: 'sse',
  createdAt: Date.now(),
  tokens: { access_token: 'a', token_type: 'Bearer' },
};

let postgres: KitPostgres;
let owner: Pool;
beforeAll(async () => {
  postgres = await kitPostgres();
  owner = openPool({ connectionString: postgres.url, max: 3 });
  await installTable(postgres.url);
});
afterAll(async () => {
  await owner.end();
  await postgres.stop();
});
afterEach(() => owner.query('truncate public.mcp_sessions'));

async function walk(store: PostgresStorageBackend): Promise<void> {
  await store.create(SESSION);
  await store.update('user', 'session', { status: 'active', metadata: { a: [] } });
  expect(await store.get('user', 'session')).toMatchObject({ status: 'active', metadata: { a: [] } });
  expect(await store.getCredentials('user', 'session')).toMatchObject({ tokens: SESSION.tokens });
  expect(await store.withLock('user', 'session', async ({ version }) => version)).toBeGreaterThan(0);
  expect(await store.list('user')).toHaveLength(1);
  await store.delete('user', 'session');
  await store.disconnect();
}

swappedRecordCases('postgres', () => ({
  driver: makeDriver(poolConnection(owner)),
  store: createPostgresStorageBackend(owner, { encryption: '7c'.repeat(32) }),
}));

describe('clients of other forms', () => {
  it('clients/function: a plain function is enough, whether it answers rows or an object with rows', async () => {
    await walk(createPostgresStorageBackend((text, values) => owner.query(text, values), { encryption: false }));
    const rows = async (text: string, values: (string | null)[]): Promise<unknown[]> =>
      (await owner.query(text, values)).rows;
    await walk(createPostgresStorageBackend(rows, { encryption: false }));
  });

  it('clients/single: one connection is enough', async () => {
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await walk(createPostgresStorageBackend(client, { encryption: false }));
    // Handed in, so still open.
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it('clients/no-client: anything else is refused at once', () => {
    for (const wrong of [undefined, null, {}, 'postgresql://user:secret@host/db', { query: 'select' }]) {
      expect(() => createPostgresStorageBackend(wrong as never)).toThrow(expect.objectContaining({ code: 'config' }));
    }
    expect(() => createPostgresStorageBackend(owner, { shema: 'x' } as never)).toThrow('Unknown option shema');
    expect(() => createPostgresStorageBackend(owner, { table: 'a b' })).toThrow(/Option table must be/);
    expect(() => createPostgresStorageBackend(owner, { rls: 'user' as never })).toThrow(/Option rls must be one of/);
  });

  it('clients/no-rows: a function that answers no rows is an error, and no empty store', async () => {
    const store = createPostgresStorageBackend((async () => ({ count: 3 })) as never, { encryption: false });
    await expect(store.list('user')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describeWith(pgBouncer, 'behind a transaction pooler', () => {
  it('clients/pooler: everything works, also with users separated, and no setting stays on a connection', async () => {
    const roleUrl = await installRole(postgres.url);
    const bouncer = await startPgBouncer({ url: roleUrl, poolSize: 2 });
    const pool = openPool({ connectionString: bouncer.url, max: 8 });
    const open = (rls: 'off' | 'tenant'): PostgresStorageBackend =>
      createPostgresStorageBackend(pool, { encryption: false, rls });
    try {
      await walk(open('off'));
      await installTenantPolicy(postgres.url);
      await walk(open('tenant'));
      // Eight users at once on two connections of the server.
      const stores = Array.from({ length: 8 }, () => open('tenant'));
      await Promise.all(stores.map((store, i) => store.create({ ...SESSION, sessionId: `s${i}`, userId: `u${i}` })));
      const lists = await Promise.all(stores.map((store, i) => store.listIds(`u${i}`)));
      expect(lists).toEqual(stores.map((_, i) => [`s${i}`]));
      expect((await pool.query('select from public.mcp_sessions')).rowCount).toBe(0);
    } finally {
      await pool.end();
      await bouncer.stop();
    }
  });
});
