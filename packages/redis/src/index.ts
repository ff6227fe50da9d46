// Every public name, listed one by one: what is not listed here is private and may change.

export type { RedisClient } from './driver.ts';
export type { RedisConnectionOptions } from './options.ts';
export { RedisBackplane, type RedisBackplaneOptions } from './redis-backplane.ts';
export { RedisConnection } from './redis-connection.ts';
export { RedisInfoSessionManager, type RedisInfoSessionManagerOptions } from './redis-info-session-manager.ts';
export type { RedisDeliveryOptions } from './redis-node.ts';
export { type RedisSessions, type RedisSessionsOptions, redisSessions } from './redis-sessions.ts';
export { RedisStreamSessionManager, type RedisStreamSessionManagerOptions } from './redis-stream-session-manager.ts';
export { RedisSubscriptionManager, type RedisSubscriptionManagerOptions } from './redis-subscription-manager.ts';
