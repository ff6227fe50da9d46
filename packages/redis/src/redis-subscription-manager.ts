import { BackplaneSubscriptionManager } from '@tmcp/session-manager';
import { type RedisDeliveryOptions, standaloneNode } from './redis-node.ts';

/** Options of `RedisSubscriptionManager`. */
export type RedisSubscriptionManagerOptions = RedisDeliveryOptions;

/**
 * Subscriptions (`subscriptions/listen`) whose notifications reach every process, over Redis. On connections of
 * its own; `redisSessions()` makes one that shares them with the other managers.
 */
export class RedisSubscriptionManager extends BackplaneSubscriptionManager {
  /**
   * @param options a URL stands for `{ url }`
   * @throws SessionError `invalid-option`
   */
  constructor(options: string | RedisSubscriptionManagerOptions) {
    super(standaloneNode('RedisSubscriptionManager', options));
  }
}
