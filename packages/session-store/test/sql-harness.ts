import { Pool, type PoolConfig } from 'pg';
import { queryOnce } from 'test-support';
import type { DriverContext } from '../src/backend-options.ts';
import type { NewRecord, SessionKey } from '../src/session-driver.ts';
import { migrationsFor } from '../src/sql/migrations/migrations.ts';
import { tableNames } from '../src/sql/names.ts';
import type { SqlConnection } from '../src/sql/sql-client.ts';
import { SqlSessionDriver } from '../src/sql/sql-session-driver.ts';

/** A pool whose server may be stopped: `end` does not wait for the sockets, so they can hear of it. */
export function openPool(options: PoolConfig): Pool {
  const pool = new Pool(options);
  pool.on('error', () => {});
  return pool;
}

export const DAY_MS = 86_400_000;

export const CONTEXT: DriverContext = {
  pendingMs: 600_000,
  maxPendingMs: 3_600_000,
  dormantMs: 30 * DAY_MS,
  operationTimeoutMs: 10_000,
  report: { error: () => {}, warn: () => {} },
};

export type DriverOptions = Partial<DriverContext> & {
  readonly backend?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly tenants?: boolean;
  readonly admin?: SqlConnection;
};

export function makeDriver(connection: SqlConnection, options: DriverOptions = {}): SqlSessionDriver {
  const { backend = 'postgres', schema, table, tenants = false, admin, ...context } = options;
  const settings = { backend, names: tableNames(schema, table), connection, tenants, admin };
  return new SqlSessionDriver(settings, { ...CONTEXT, ...context });
}

const DOCUMENTED_TABLE = 'mcp_sessions';

/** Migrations 1 and 2, as an operator would apply them. */
export async function installTable(url: string, table: string = DOCUMENTED_TABLE): Promise<void> {
  for (const { sql } of migrationsFor(tableNames('public', table), false)) await queryOnce(url, sql);
}

export const ROLE = 'mcp_service_role';
/** Must be seen in no error. */
export const ROLE_PASSWORD = 'role-secret-password';

/**
 * The documented role, with the documented rights and no others; roles belong to the whole server.
 *
 * @param table without a name, a role that has rights on none
 * @returns the address of the database for that role
 */
export async function installRole(url: string, name: string = ROLE, table: string = DOCUMENTED_TABLE): Promise<string> {
  await queryOnce(
    url,
    // Files that run at the same time may share a server.
    `do $$ begin
      if not exists (select from pg_roles where rolname = '${name}') then
        create role ${name} login password '${ROLE_PASSWORD}';
      end if;
    exception when duplicate_object or unique_violation then null;
    end $$`,
  );
  await queryOnce(url, `grant usage on schema public to ${name}`);
  if (table !== '') await queryOnce(url, `grant select, insert, update, delete on public.${table} to ${name}`);
  return Object.assign(new URL(url), { username: name, password: ROLE_PASSWORD }).href;
}

const TENANT = "user_id = current_setting('mcp.user_id', true)";

/** Row-level security that separates users for the documented role. */
export async function installTenantPolicy(
  url: string,
  adminRole?: string,
  table: string = DOCUMENTED_TABLE,
): Promise<void> {
  await queryOnce(url, `alter table public.${table} enable row level security, force row level security`);
  await queryOnce(url, `drop policy if exists mcp_sessions_service on public.${table}`);
  await queryOnce(url, `drop policy if exists mcp_sessions_tenant on public.${table}`);
  await queryOnce(
    url,
    `create policy mcp_sessions_tenant on public.${table} for all to ${ROLE} using (${TENANT}) with check (${TENANT})`,
  );
  if (adminRole !== undefined) {
    await queryOnce(
      url,
      `create policy mcp_sessions_admin on public.${table} for all to ${adminRole} using (true) with check (true)`,
    );
  }
}

/** Tables of one database, one for each case of the kit that runs at the same time as others. */
export class TablePool {
  readonly #owner: Pool;
  readonly #install: (table: string) => Promise<void>;
  readonly #free: string[] = [];
  #made = 0;
  /** One after the other: migrations of two tables replace the same function. */
  #installing: Promise<unknown> = Promise.resolve();

  /** @param install makes the table and grants what is needed */
  constructor(owner: Pool, install: (table: string) => Promise<void>) {
    this.#owner = owner;
    this.#install = install;
  }

  /** @returns the name of an empty table */
  async take(): Promise<string> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#made += 1;
    const table = `mcp_sessions_${this.#made}`;
    const installed = this.#installing.then(() => this.#install(table));
    this.#installing = installed;
    await installed;
    return table;
  }

  async giveBack(table: string): Promise<void> {
    await this.#owner.query(`truncate public.${table}`);
    this.#free.push(table);
  }

  /** Everything in it, as text. */
  async dump(table: string): Promise<string> {
    const { rows } = await this.#owner.query<{ row: string }>(`select s::text as row from public.${table} as s`);
    return rows.map(({ row }) => row).join('\n');
  }
}

export const KEY: SessionKey = { userId: 'user', sessionId: 'session' };

export function newRecord(change: Partial<NewRecord> = {}): NewRecord {
  return {
    ...KEY,
    status: 'pending',
    createdAt: Date.now() - 1_000,
    updatedAt: undefined,
    fields: {
      serverUrl: '"https://server.example/mcp"',
      callbackUrl: '"https://app.example/callback"',
      transportType: '"streamable-http"',
    },
    ...change,
  };
}
