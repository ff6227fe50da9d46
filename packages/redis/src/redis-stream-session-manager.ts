import { BackplaneStreamSessionManager } from '@tmcp/session-manager';
import { type RedisDeliveryOptions, standaloneNode } from './redis-node.ts';

/** Options of `RedisStreamSessionManager`. */
export type RedisStreamSessionManagerOptions = RedisDeliveryOptions;

/**
 * Streams of sessions that several processes share over Redis. On connections of its own; `redisSessions()`
 * makes one that shares them with the other managers.
 */
export class RedisStreamSessionManager extends BackplaneStreamSessionManager {
  /**
   * @param options a URL stands for `{ url }`
   * @throws SessionError `invalid-option`
   */
  constructor(options: string | RedisStreamSessionManagerOptions) {
    super(standaloneNode('RedisStreamSessionManager', options));
  }
}
