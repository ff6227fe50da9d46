export type { RedisClient, RedisNode } from './redis-client.ts';
export {
  createRedisStorageBackend,
  RedisStorageBackend,
  type RedisStorageOptions,
} from './redis-storage-backend.ts';
