import { type InfoTtlOption, infoTtlRule, storedInfoRules } from '../info/info-options.ts';
import { type InfoStats, StoredInfoSessionManager } from '../info/stored-info-session-manager.ts';
import { type ErrorHandler, guardErrorHandler } from '../on-error.ts';
import { option, readOptions } from '../options.ts';
import { InMemoryInfoStore } from './in-memory-info-store.ts';

export type InMemoryInfoSessionManagerOptions = InfoTtlOption & {
  /**
   * Beyond this size, roughly counted, the sessions that were not used for the longest time are forgotten, which is
   * reported. Session ids come from clients, so their number has no other bound.
   * @default 67_108_864 (64 MiB)
   */
  readonly maxInfoBytes?: number | undefined;
  /**
   * Told of every failure that no caller can see.
   * @default rate-limited `console.error`
   */
  readonly onError?: ErrorHandler | undefined;
};

/** What is stored, beside the counters of every info session manager. */
export type InMemoryInfoStats = InfoStats & {
  readonly sessions: number;
  /** Roughly; what `maxInfoBytes` limits. */
  readonly storedBytes: number;
};

/** Session info for a server that is one process. Everything is gone when it ends. */
export class InMemoryInfoSessionManager extends StoredInfoSessionManager {
  readonly #store: InMemoryInfoStore;

  constructor(options?: InMemoryInfoSessionManagerOptions) {
    const { onError, ...limits } = readOptions('InMemoryInfoSessionManager', options, {
      infoTtlMs: infoTtlRule,
      maxInfoBytes: option.bytes(64 * 1024 * 1024),
      onError: storedInfoRules.onError,
    });
    const store = new InMemoryInfoStore({ ...limits, onError: guardErrorHandler(onError) });
    super(store, {
      sendTimeoutMs: storedInfoRules.sendTimeoutMs.fallback,
      maxOutboxBytes: storedInfoRules.maxOutboxBytes.fallback,
      onError,
    });
    this.#store = store;
  }

  override stats(): InMemoryInfoStats {
    const { sessions, bytes } = this.#store.size;
    return { ...super.stats(), sessions, storedBytes: bytes };
  }
}
