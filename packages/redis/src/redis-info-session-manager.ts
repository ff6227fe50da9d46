import {
  guardErrorHandler,
  type InfoTtlOption,
  infoTtlRule,
  option,
  readOptions,
  type StoredInfoOptions,
  StoredInfoSessionManager,
  storedInfoRules,
} from '@tmcp/session-manager';
import { connectionRules, type RedisConnectionOptions, withUrl } from './options.ts';
import { RedisConnection } from './redis-connection.ts';
import { RedisInfoStore } from './redis-info-store.ts';

/** Options of `RedisInfoSessionManager`. */
export type RedisInfoSessionManagerOptions = Pick<RedisConnectionOptions, 'url' | 'client' | 'keyPrefix'> &
  StoredInfoOptions &
  InfoTtlOption & {
    /**
     * Sessions of different namespaces never meet.
     * @default 'default'
     */
    readonly namespace?: string | undefined;
  };

const OWNER = 'RedisInfoSessionManager';

/**
 * Session info on Redis, shared by any number of processes. Nothing connects before the first call, and one connection
 * carries all calls.
 */
export class RedisInfoSessionManager extends StoredInfoSessionManager {
  /**
   * @param options a URL stands for `{ url }`
   * @param shared connections that other managers use as well, in place of those that the options describe
   * @throws SessionError `invalid-option`
   */
  constructor(options: string | RedisInfoSessionManagerOptions, shared?: RedisConnection) {
    const { url, client, keyPrefix, namespace, infoTtlMs, ...settings } = readOptions(OWNER, withUrl(options), {
      ...storedInfoRules,
      infoTtlMs: infoTtlRule,
      url: connectionRules.url,
      client: connectionRules.client,
      keyPrefix: connectionRules.keyPrefix,
      namespace: option.name('default', 256),
    });
    const { sendTimeoutMs } = settings;
    // Half of it, so that what hangs is tried once more.
    const callTimeoutMs = Math.ceil(sendTimeoutMs / 2);
    const connection = shared ?? new RedisConnection({ url, client, keyPrefix, callTimeoutMs }, OWNER);
    const onError = guardErrorHandler(settings.onError);
    super(new RedisInfoStore({ connection, namespace, infoTtlMs, sendTimeoutMs, onError }), settings);
  }
}
