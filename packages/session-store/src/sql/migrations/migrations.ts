import { CRON, EXTEND, INSTALL, type TableNames } from '../names.ts';
import { cronSql } from './cron.ts';
import { extendSql } from './extend.ts';
import { installSql } from './install.ts';

export type Migration = {
  /** Of its file in `migrations/neon`. */
  readonly name: string;
  readonly sql: string;
  /** Only on request. */
  readonly optional: boolean;
};

/** In the order in which they are applied. The files in `migrations/neon` hold the same texts. */
export const MIGRATIONS: readonly Migration[] = [
  { name: INSTALL, sql: installSql, optional: false },
  { name: CRON, sql: cronSql, optional: true },
  { name: EXTEND, sql: extendSql, optional: false },
];

/** Names of indexes are made of the table's, and PostgreSQL cuts them at 63 bytes without a word. */
const LONGEST_TABLE_NAME = 40;

/**
 * The migrations for the table of these names; for the documented one exactly the files. Everything that is named
 * after the table gets its name, so that two tables can stand beside each other.
 */
export function migrationsFor({ schema, table }: TableNames, withCron: boolean): Migration[] {
  if (table.length > LONGEST_TABLE_NAME) {
    throw new RangeError(`a table that migrations create has at most ${LONGEST_TABLE_NAME} characters in its name`);
  }
  return MIGRATIONS.filter(({ optional }) => withCron || !optional).map((migration) => ({
    ...migration,
    sql: rename(migration.sql, schema, table),
  }));
}

function rename(sql: string, schema: string, table: string): string {
  if (schema === 'public' && table === 'mcp_sessions') return sql;
  return sql
    .replaceAll(/\bpublic\./g, `"${schema}".`)
    .replaceAll('SCHEMA public', `SCHEMA "${schema}"`)
    .replaceAll(/\b[a-z_]*mcp_sessions[a-z_]*\b/g, (name) => `"${name.replace('mcp_sessions', table)}"`)
    .replaceAll(/'(mcp-cleanup-[a-z]+-sessions)'/g, `'$1-${schema}.${table}'`);
}
