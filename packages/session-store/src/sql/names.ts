import { SessionStoreError } from '../errors.ts';

/** Migration 1, the documented table. */
export const INSTALL = '20260513010000_install_mcp_sessions.sql';
/** Migration 2, what we need on top. */
export const EXTEND = '20260513030000_extend_mcp_sessions.sql';
/** Optional: `pg_cron` removes expired sessions. */
export const CRON = '20260513020000_add_session_cleanup_cron.sql';

/** Where the sessions stand. Also in messages, so nothing but plain names is let in. */
export type TableNames = {
  readonly schema: string;
  readonly table: string;
  /** Qualified and quoted, for statements. */
  readonly sql: string;
  /** Qualified, for messages. */
  readonly shown: string;
};

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/** @throws SessionStoreError `config` for anything but letters, digits and underscores */
export function tableNames(schema = 'public', table = 'mcp_sessions'): TableNames {
  for (const [option, name] of Object.entries({ schema, table })) {
    if (typeof name !== 'string' || !PLAIN_NAME.test(name)) {
      throw new SessionStoreError(
        'config',
        `Option ${option} must be letters, digits and underscores, at most 63, and begin with no digit`,
      );
    }
  }
  return { schema, table, sql: `"${schema}"."${table}"`, shown: `${schema}.${table}` };
}

/** Migration 2 brings it, and migration 1 another one of this name. */
export function triggerName({ table }: TableNames): string {
  return `trg_${table}_updated_at`;
}
