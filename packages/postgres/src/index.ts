// Every public name, listed one by one: what is not listed here is private and may change.

export type { PostgresPool } from './driver.ts';
export type { PostgresQueryable } from './info-calls.ts';
export type { PostgresConnectionOptions } from './options.ts';
export { PostgresBackplane, type PostgresBackplaneOptions } from './postgres-backplane.ts';
export { PostgresConnection } from './postgres-connection.ts';
export { PostgresInfoSessionManager, type PostgresInfoSessionManagerOptions } from './postgres-info-session-manager.ts';
export type { Durability, PostgresDeliveryOptions } from './postgres-node.ts';
export { type PostgresSessions, type PostgresSessionsOptions, postgresSessions } from './postgres-sessions.ts';
export {
  PostgresStreamSessionManager,
  type PostgresStreamSessionManagerOptions,
} from './postgres-stream-session-manager.ts';
export {
  PostgresSubscriptionManager,
  type PostgresSubscriptionManagerOptions,
} from './postgres-subscription-manager.ts';
export type { InfoTableNames } from './schema/info-names.ts';
