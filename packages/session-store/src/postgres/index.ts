export type { QueryAnswer, QueryFunction, SqlClient } from '../sql/sql-client.ts';
export type { SqlBackendOptions } from '../sql/sql-options.ts';
export {
  createPostgresStorageBackend,
  PostgresStorageBackend,
  type PostgresStorageOptions,
} from './postgres-storage-backend.ts';
