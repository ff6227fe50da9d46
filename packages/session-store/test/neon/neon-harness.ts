import { neon } from '@neondatabase/serverless';
import type { ConformanceBackend } from '@tmcp/session-store/testing';
import type { Pool } from 'pg';
import { type KitPostgres, kitPostgres } from 'test-support';
import type { NeonSql } from '../../src/neon/index.ts';
import { createNeonStorageBackend, type NeonStorageOptions } from '../../src/neon/index.ts';
import { installRole, installTable, installTenantPolicy, openPool, TablePool } from '../sql-harness.ts';
import { NeonProxy } from './support/neon-proxy.ts';

export const ADMIN_ROLE = 'mcp_admin_role';

/** Neon's real driver, over HTTP, in front of a real server. */
export type NeonPlace = {
  readonly proxy: NeonProxy;
  /** Of the database, for the owner and not through the proxy. */
  readonly url: string;
  readonly owner: Pool;
  readonly tables: TablePool;
  /** The documented role. */
  readonly sql: NeonSql;
  readonly admin: NeonSql;
  /** Connection string of the documented role, by way of the proxy. */
  readonly roleUrl: string;
  readonly stop: () => Promise<void>;
};

export async function startNeon({ tenants = false }: { readonly tenants?: boolean } = {}): Promise<NeonPlace> {
  const postgres: KitPostgres = await kitPostgres();
  const { url } = postgres;
  const install = async (table?: string) => {
    await installTable(url, table);
    const urls = [await installRole(url, undefined, table), await installRole(url, ADMIN_ROLE, table)] as const;
    if (tenants) await installTenantPolicy(url, ADMIN_ROLE, table);
    return urls;
  };
  const roles = await install();
  const proxy = await NeonProxy.start(url);
  const owner = openPool({ connectionString: url, max: 2 });
  const [roleUrl, adminUrl] = [proxy.urlOf(roles[0]), proxy.urlOf(roles[1])];
  return {
    proxy,
    url,
    owner,
    tables: new TablePool(owner, async (table) => void (await install(table))),
    sql: neon(roleUrl),
    admin: neon(adminUrl),
    roleUrl,
    stop: async () => {
      await Promise.all([proxy.close(), owner.end()]);
      await postgres.stop();
    },
  };
}

/** For the conformance kit. */
export function neonBackend(
  place: () => NeonPlace,
  options: () => NeonStorageOptions,
): () => Promise<ConformanceBackend> {
  return async () => {
    const table = await place().tables.take();
    return {
      open: (given) => createNeonStorageBackend(place().sql, { ...given, ...options(), table }),
      sharesData: true,
      dump: () => place().tables.dump(table),
      cleanUp: () => place().tables.giveBack(table),
    };
  };
}
