import { createPostgresStorageBackend } from '@tmcp/session-store/postgres';
import { sessionStoreConformance } from '@tmcp/session-store/testing';
import type { Pool } from 'pg';
import { type KitPostgres, kitPostgres, waitFor } from 'test-support';
import { afterAll, beforeAll } from 'vitest';
import { installRole, installTable, openPool, TablePool } from '../sql-harness.ts';

let postgres: KitPostgres;
let owner: Pool;
let pool: Pool;
let tables: TablePool;

beforeAll(async () => {
  postgres = await kitPostgres();
  const { url } = postgres;
  owner = openPool({ connectionString: url, max: 2 });
  await installTable(url);
  // The documented role with the documented rights: everything has to work with no more than these.
  pool = openPool({ connectionString: await installRole(url) });
  tables = new TablePool(owner, async (table) => {
    await installTable(url, table);
    await installRole(url, undefined, table);
  });
});
afterAll(async () => {
  // Injected, so still open; and nothing of it is still held.
  await waitFor(() => pool.totalCount === pool.idleCount, { message: 'all connections to be given back' });
  await Promise.all([pool.end(), owner.end()]);
  await postgres.stop();
});

sessionStoreConformance(
  'postgres through pg',
  async () => {
    const table = await tables.take();
    return {
      open: (options) => createPostgresStorageBackend(pool, { ...options, table }),
      sharesData: true,
      dump: () => tables.dump(table),
      cleanUp: () => tables.giveBack(table),
    };
  },
  { concurrent: true },
);
