import {
  type InfoTtlOption,
  infoTtlRule,
  readOptions,
  type StoredInfoOptions,
  storedInfoRules,
} from '@tmcp/session-manager';
import { DurableObjectInfoStore } from './durable-object-info-store.ts';
import { readShards, type ShardOptions, shardRules } from './options.ts';
import { WorkerInfoSessionManager } from './worker-info-session-manager.ts';

export type DurableObjectInfoSessionManagerOptions = ShardOptions & StoredInfoOptions & InfoTtlOption;

const OWNER = 'DurableObjectInfoSessionManager';

/**
 * Session info on Durable Objects: strongly consistent, wherever a request arrives.
 *
 * - Storage: SQLite of the shard that the session's streams use as well, so both need the same `shards` and `namespace`.
 * - Life cycle: forgotten when the session is deleted, or was not used for `infoTtlMs`; the shard's alarm clears up.
 * - Constraints: needs a class with SQL (`new_sqlite_classes`). The subscribers of a URI are asked of every shard.
 * - Trade-off: a read may cross the world to the shard; KV answers from nearby, with what was true a minute ago.
 */
export class DurableObjectInfoSessionManager extends WorkerInfoSessionManager {
  /**
   * @param options name of the binding, or options
   * @throws SessionError `invalid-option`
   */
  constructor(options?: string | DurableObjectInfoSessionManagerOptions) {
    const given = typeof options === 'string' ? { binding: options } : options;
    const read = readOptions(OWNER, given, { ...storedInfoRules, ...shardRules, infoTtlMs: infoTtlRule });
    super(new DurableObjectInfoStore(readShards(OWNER, read), read.infoTtlMs), read);
  }
}
