import { SessionRepository } from '../session-repository.ts';
import { type SqlBackendOptions, sqlBackend } from '../sql/sql-options.ts';
import { type NeonSql, neonConnection } from './neon-connection.ts';

export type NeonStorageOptions = SqlBackendOptions<NeonSql>;

/**
 * Sessions in a Neon database over HTTP: every operation is one request, in tenant mode as well. Everything else is as
 * with `PostgresStorageBackend`; migrations need a direct connection string, the application takes the pooled one.
 */
export class NeonStorageBackend extends SessionRepository {
  /** @throws SessionStoreError `config` for options or a client that cannot work */
  constructor(sql: NeonSql, options: NeonStorageOptions = {}) {
    const { settings, makeDriver } = sqlBackend('neon', sql, options, neonConnection);
    super(makeDriver, settings);
  }
}

/**
 * @param sql `neon(connectionString)` of `@neondatabase/serverless`
 * @throws SessionStoreError `config` for options or a client that cannot work
 */
export function createNeonStorageBackend(sql: NeonSql, options: NeonStorageOptions = {}): NeonStorageBackend {
  return new NeonStorageBackend(sql, options);
}
