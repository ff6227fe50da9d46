import { configError } from '../session-errors.ts';
import { isPool, poolConnection } from './pool-connection.ts';
import { connectionOf, type QueryFunction, type SqlClient, type SqlConnection } from './sql-client.ts';
import { isClient } from './sql-options.ts';

/** @throws SessionStoreError `config` for what cannot run a query */
export function clientConnection(client: SqlClient | QueryFunction): SqlConnection {
  if (!isClient(client))
    throw configError('The postgres backend needs a client with query(text, values), or such a function');
  return isPool(client) ? poolConnection(client) : connectionOf(client);
}
