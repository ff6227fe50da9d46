// Every public name, listed one by one: what is not listed here is private and may change.

export type { BackendOptions, BackendSettings, DriverContext } from './backend-options.ts';
export type {
  EncryptionKey,
  EncryptionOption,
  EncryptionOptions,
  KeyProvider,
} from './encryption/encryption-options.ts';
export { SessionStoreError, type SessionStoreErrorCode, type WriteOutcome } from './errors.ts';
export { FileStorageBackend, type FileStorageOptions } from './file/index.ts';
export { MemoryStorageBackend, type MemoryStorageOptions } from './memory/index.ts';
export type { MutationListener, SessionMutation } from './mutations.ts';
export { createNeonStorageBackend, type NeonSql, NeonStorageBackend, type NeonStorageOptions } from './neon/index.ts';
export {
  createPostgresStorageBackend,
  PostgresStorageBackend,
  type PostgresStorageOptions,
  type QueryAnswer,
  type QueryFunction,
  type SqlBackendOptions,
  type SqlClient,
} from './postgres/index.ts';
export {
  createRedisStorageBackend,
  type RedisClient,
  type RedisNode,
  RedisStorageBackend,
  type RedisStorageOptions,
} from './redis/index.ts';
export type { ErrorHandler } from './report.ts';
export type {
  OAuthState,
  OAuthTokens,
  Session,
  SessionCredentials,
  SessionStatus,
  TransportType,
} from './session.ts';
export type {
  FieldName,
  Lifetimes,
  NewRecord,
  PageRequest,
  Patch,
  PatchKind,
  RecordPage,
  SessionDriver,
  SessionKey,
  StoredRecord,
  SweepCounts,
} from './session-driver.ts';
export { type RepositorySettings, SessionRepository } from './session-repository.ts';
export type {
  Guard,
  Lease,
  LockOptions,
  RefreshedTokens,
  Reveal,
  SessionStore,
  StoreHealth,
} from './session-store.ts';
export { sessions } from './sessions.ts';
