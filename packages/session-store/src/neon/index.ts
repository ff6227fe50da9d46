export type { SqlBackendOptions } from '../sql/sql-options.ts';
export type { NeonSql } from './neon-connection.ts';
export { createNeonStorageBackend, NeonStorageBackend, type NeonStorageOptions } from './neon-storage-backend.ts';
