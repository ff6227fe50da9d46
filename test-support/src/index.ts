export { type Deferred, deferred } from './deferred.ts';
export { freePort } from './free-port.ts';
export { onParentDeath } from './on-parent-death.ts';
export { systemPostgres } from './postgres/distribution.ts';
export { type KitPostgres, kitPostgres } from './postgres/kit-postgres.ts';
export { type PgBouncer, type PgBouncerOptions, pgBouncer, startPgBouncer } from './postgres/pgbouncer.ts';
export { PostgresServer, type PostgresServerOptions, startPostgres } from './postgres/postgres-server.ts';
export type { PostgresSettings } from './postgres/postmaster.ts';
export { queryOnce } from './postgres/query-once.ts';
export { type KitRedis, kitRedis, kitRedisServer } from './redis/kit-redis.ts';
export { type RedisCluster, type RedisClusterOptions, startRedisCluster } from './redis/redis-cluster.ts';
export { redisOnce } from './redis/redis-once.ts';
export { type RedisPrograms, redisServer } from './redis/redis-programs.ts';
export { type RedisSentinel, type RedisSentinelOptions, startRedisSentinel } from './redis/redis-sentinel.ts';
export {
  type RedisRestartOptions,
  RedisServer,
  type RedisServerOptions,
  type RedisSettings,
  startRedis,
} from './redis/redis-server.ts';
export { openSsl, type SelfSigned, selfSigned } from './self-signed.ts';
export { requireService, type Service } from './service.ts';
export { type NodeExit, type NodeProcess, spawnNode } from './spawn-node.ts';
export type { Blackhole, Direction, ProxiedConnection } from './tcp-proxy/proxied-connection.ts';
export { type Match, TcpProxy } from './tcp-proxy/tcp-proxy.ts';
export { type WaitForOptions, waitFor } from './wait-for.ts';
