import { randomUUID } from 'node:crypto';
import { type InfoBackend, infoSessionManagerSuite, infoStoreSuite } from '@tmcp/session-manager/testing';
import { Client, Pool } from 'pg';
import { type KitPostgres, kitPostgres, queryOnce } from 'test-support';
import { afterAll, beforeAll, expect } from 'vitest';
import { callsOfQueryable, type PostgresQueryable } from '../../src/info-calls.ts';
import { PostgresInfoSessionManager } from '../../src/postgres-info-session-manager.ts';
import { PostgresInfoStore } from '../../src/postgres-info-store.ts';
import { DEFAULT_INFO_TABLES } from '../../src/schema/info-names.ts';

let postgres: KitPostgres;
let pool: Pool;

beforeAll(async () => {
  postgres = await kitPostgres();
  pool = new Pool({ connectionString: postgres.url });
});
afterAll(async () => {
  await pool.end();
  await postgres.stop();
});

const TABLES = [...Object.values(DEFAULT_INFO_TABLES), 'tmcp_session_client_info_lifetimes'];

/** Namespaces of this test alone, whose rows are removed after it. */
function isolated(connect: () => Promise<{ pool: PostgresQueryable } | { connectionString: string }>) {
  return async (): Promise<InfoBackend> => {
    const test = randomUUID();
    const connection = await connect();
    return {
      open: ({ namespace = 'default', ...options }) =>
        new PostgresInfoSessionManager({ ...connection, ...options, namespace: `${test}/${namespace}` }),
      cleanUp: () => removeRows(test),
    };
  };
}

async function removeRows(test: string): Promise<void> {
  for (const table of TABLES) await queryOnce(postgres.url, `delete from ${table} where starts_with(ns, $1)`, [test]);
}

/** What `neon()` returns: a function that has `query`, and answers rows without anything around them. */
function neonLike(): PostgresQueryable {
  const tag = (): never => {
    throw new Error('a tagged template is not what we call');
  };
  const query = async (text: string, values?: unknown[]): Promise<unknown> => (await pool.query(text, values)).rows;
  return Object.assign(tag, { query });
}

infoSessionManagerSuite({
  name: 'PostgreSQL, connection string',
  concurrent: true,
  setUp: isolated(async () => ({ connectionString: postgres.url })),
});

infoSessionManagerSuite({ name: 'PostgreSQL, one pg.Pool', concurrent: true, setUp: isolated(async () => ({ pool })) });

infoSessionManagerSuite({
  name: "PostgreSQL, Neon's shape",
  concurrent: true,
  setUp: isolated(async () => ({ pool: neonLike() })),
});

infoSessionManagerSuite({
  name: 'PostgreSQL, one pg.Client',
  concurrent: true,
  setUp: async () => {
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    const backend = await isolated(async () => ({ pool: client }))();
    // Two managers on one client would take turns without knowing of each other.
    const managers = new Map<string | undefined, ReturnType<InfoBackend['open']>>();
    return {
      open: (options) => {
        const manager = managers.get(options.namespace) ?? backend.open(options);
        managers.set(options.namespace, manager);
        return manager;
      },
      cleanUp: async () => {
        await client.end();
        await backend.cleanUp();
      },
    };
  },
  processes: 'one',
});

infoStoreSuite({
  name: 'PostgreSQL',
  concurrent: true,
  setUp: async () => {
    const namespace = randomUUID();
    const store = new PostgresInfoStore({
      calls: callsOfQueryable(pool, 10_000),
      tables: DEFAULT_INFO_TABLES,
      schema: undefined,
      create: true,
      namespace,
      infoTtlMs: 600_000,
      sendTimeoutMs: 10_000,
      onError: (error) => expect.unreachable(error.message),
      end: async () => undefined,
    });
    return { store, cleanUp: () => removeRows(namespace) };
  },
});
