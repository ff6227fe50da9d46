// Every public name, listed one by one: what is not listed here is private and may change.

export type { PostgresPool } from './driver.ts';
export type { PostgresConnectionOptions } from './options.ts';
export { PostgresBackplane, type PostgresBackplaneOptions } from './postgres-backplane.ts';
export { PostgresConnection } from './postgres-connection.ts';
export type { Durability, PostgresDeliveryOptions } from './postgres-node.ts';
export {
  PostgresStreamSessionManager,
  type PostgresStreamSessionManagerOptions,
} from './postgres-stream-session-manager.ts';
export {
  PostgresSubscriptionManager,
  type PostgresSubscriptionManagerOptions,
} from './postgres-subscription-manager.ts';
