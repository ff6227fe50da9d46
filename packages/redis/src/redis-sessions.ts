import { createSessionSet, type InfoTtlOption, infoTtlRule, readOptions, type SessionSet } from '@tmcp/session-manager';
import { withUrl } from './options.ts';
import { RedisConnection } from './redis-connection.ts';
import { RedisInfoSessionManager } from './redis-info-session-manager.ts';
import { type RedisDeliveryOptions, readDeliveryOptions, redisDeliveryRules, redisNode } from './redis-node.ts';

/** Options of `redisSessions()`: those of the three managers. */
export type RedisSessionsOptions = RedisDeliveryOptions & InfoTtlOption;

export type RedisSessions = SessionSet<RedisInfoSessionManager>;

const OWNER = 'redisSessions';

/**
 * Streams, info and subscriptions on one Redis, sharing one connection for calls; each namespace has another one that
 * reads. Nothing connects before the first call.
 *
 * ```ts
 * const sessions = redisSessions('redis://localhost:6379');
 * const transport = new HttpTransport(server, { path: '/mcp', ...sessions });
 * ```
 *
 * @param options a URL stands for `{ url }`
 * @throws SessionError `invalid-option`
 */
export function redisSessions(options: string | RedisSessionsOptions): RedisSessions {
  const { infoTtlMs, ...rest } = readOptions(OWNER, withUrl(options), {
    ...redisDeliveryRules,
    infoTtlMs: infoTtlRule,
  });
  const settings = readDeliveryOptions(OWNER, rest);
  const connection = new RedisConnection(settings.reach, OWNER);
  const release = connection.retain();
  const { sendTimeoutMs, maxOutboxBytes, onError } = settings.delivery;
  return createSessionSet({
    namespace: settings.namespace,
    node: (namespace) => redisNode(connection, settings, namespace),
    info: (namespace) =>
      new RedisInfoSessionManager({ namespace, infoTtlMs, sendTimeoutMs, maxOutboxBytes, onError }, connection),
    end: release,
  });
}
