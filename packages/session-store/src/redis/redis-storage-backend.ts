import { type BackendOptions, backendRules } from '../backend-options.ts';
import { option, readOptions } from '../options.ts';
import { configError } from '../session-errors.ts';
import { SessionRepository } from '../session-repository.ts';
import { createClient, endClient, reportOutages } from './connect-redis.ts';
import type { RedisClient } from './redis-client.ts';
import { RedisDriver } from './redis-driver.ts';

export type RedisStorageOptions = BackendOptions & {
  /** In front of every key, without braces: they belong to the hash tag of the user. @default 'mcp:' */
  readonly prefix?: string | undefined;
};

const rules = { ...backendRules, prefix: option.text('mcp:', /^[^{}]*$/) };

/**
 * Sessions in Redis 6.2 or Valkey 7.2, or newer, one server, behind sentinels, or a Cluster.
 *
 * Storage layout: a hash for each session, whose expiry is its end, and a sorted set of session ids for each user; all
 * keys of a user share one slot. Life cycle: Redis drops what has ended, so `sweep` finds nothing. Constraints: every
 * write is one Lua script, judged by the clock of the server, and applied once although clients repeat it; none is
 * applied more than a second after its caller was told that it failed. Trade-off: Redis copies to its replicas after it
 * has answered, so a failover can lose the last acknowledged writes; and it keeps only what AOF or RDB wrote, of which
 * `health` warns.
 *
 * @example
 * const store = new RedisStorageBackend(new Redis(url));
 */
export class RedisStorageBackend extends SessionRepository {
  /**
   * @param client a `Redis` or `Cluster` of ioredis; it is not configured and never ended, its `keyPrefix` holds
   * @throws SessionStoreError `config` for options that do not exist, and for a client that reads from replicas: they
   * are behind, and a refresh token read there may be spent
   */
  constructor(client: RedisClient, options: RedisStorageOptions = {}) {
    super(...repositoryOn(client, options, false));
  }
}

/** The same on a connection of its own, which ends with `disconnect()`. Nothing connects before the first call. */
export async function createRedisStorageBackend(
  url: string,
  options: RedisStorageOptions = {},
): Promise<SessionRepository> {
  const { operationTimeoutMs } = readOptions(options, rules);
  return new OwnedRedisStorageBackend(await createClient(url, operationTimeoutMs), options);
}

class OwnedRedisStorageBackend extends SessionRepository {
  constructor(client: RedisClient, options: RedisStorageOptions) {
    super(...repositoryOn(client, options, true));
  }
}

/** Others, such as the package `redis`, have other methods. */
function isClient(client: unknown): boolean {
  if (typeof client !== 'object' || client === null) return false;
  const { options, call, pipeline, on } = client as Readonly<Record<keyof RedisClient, unknown>>;
  const methods = [call, pipeline, on].every((method) => typeof method === 'function');
  return methods && typeof options === 'object' && options !== null;
}

function repositoryOn(
  client: RedisClient,
  options: RedisStorageOptions,
  owned: boolean,
): ConstructorParameters<typeof SessionRepository> {
  const settings = readOptions(options, rules);
  if (!isClient(client)) throw configError('The redis backend needs a Redis or Cluster of ioredis');
  const { scaleReads, role, readOnly } = client.options;
  if ((scaleReads !== undefined && scaleReads !== 'master') || role === 'slave' || readOnly === true) {
    throw configError('The redis backend needs a client that reads from masters');
  }
  return [
    (context) => {
      if (owned) reportOutages(client, context.report);
      const end = owned ? () => endClient(client) : async () => {};
      return new RedisDriver(client, { ...context, prefix: settings.prefix, end });
    },
    settings,
  ];
}
