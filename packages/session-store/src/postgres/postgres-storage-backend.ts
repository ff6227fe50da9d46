import { SessionRepository } from '../session-repository.ts';
import { clientConnection } from '../sql/client-connection.ts';
import type { QueryFunction, SqlClient } from '../sql/sql-client.ts';
import { type SqlBackendOptions, sqlBackend } from '../sql/sql-options.ts';

export type PostgresStorageOptions = SqlBackendOptions<SqlClient | QueryFunction>;

/**
 * Sessions in a table of PostgreSQL 13 or newer, through any client that runs `query(text, values)`. The table is made
 * by `npx tmcp-session-store migrate`, or with the output of `npx tmcp-session-store sql`; nothing else changes it.
 *
 * Storage layout: one row of `mcp_sessions` per session, unique by user and session id; credentials are encrypted field
 * by field when there is a key. Life cycle: the client stays the caller's, `disconnect` does not end it;
 * a `Pool` needs a listener for `error` as always, or a connection that the server ends ends the process. Constraints:
 * every operation is one statement without session state, so it works behind a transaction pooler.
 */
export class PostgresStorageBackend extends SessionRepository {
  /** @throws SessionStoreError `config` for options or a client that cannot work */
  constructor(client: SqlClient | QueryFunction, options: PostgresStorageOptions = {}) {
    const { settings, makeDriver } = sqlBackend('postgres', client, options, clientConnection);
    super(makeDriver, settings);
  }
}

/**
 * @param client a `Pool` of `pg`, another client with `query(text, values)`, or such a function
 * @throws SessionStoreError `config` for options or a client that cannot work
 */
export function createPostgresStorageBackend(
  client: SqlClient | QueryFunction,
  options: PostgresStorageOptions = {},
): PostgresStorageBackend {
  return new PostgresStorageBackend(client, options);
}
