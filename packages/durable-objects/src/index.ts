// Every public name, listed one by one: what is not listed here is private and may change.

export { SyncLayer } from './object/sync-layer.ts';
export {
  DurableObjectInfoSessionManager,
  type DurableObjectInfoSessionManagerOptions,
} from './worker/durable-object-info-session-manager.ts';
export {
  type DurableObjectSessions,
  type DurableObjectSessionsOptions,
  durableObjectSessions,
} from './worker/durable-object-sessions.ts';
export {
  DurableObjectStreamSessionManager,
  type DurableObjectStreamSessionManagerOptions,
  type DurableObjectStreamStats,
} from './worker/durable-object-stream-session-manager.ts';
export {
  DurableObjectSubscriptionManager,
  type DurableObjectSubscriptionManagerOptions,
  type DurableObjectSubscriptionStats,
} from './worker/durable-object-subscription-manager.ts';
export {
  KVInfoSessionManager,
  type KVInfoSessionManagerOptions,
  type KvBinding,
} from './worker/kv-info-session-manager.ts';
export type { DurableObjectDeliveryOptions, ShardOptions } from './worker/options.ts';
export type { ObjectBinding } from './worker/shards.ts';
