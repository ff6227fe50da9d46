import type { ErrorHandler } from '../on-error.ts';
import { type OptionRule, type OptionsOf, option } from '../options.ts';

/** Options of every info session manager. Times are milliseconds, sizes bytes. */
export type StoredInfoOptions = {
  /**
   * Deadline of every call: a write that could not be stored by then is given up and reported, a read rejects.
   * @default 10_000
   */
  readonly sendTimeoutMs?: number | undefined;
  /**
   * What waits to be stored beyond this is refused and reported.
   * @default 67_108_864 (64 MiB)
   */
  readonly maxOutboxBytes?: number | undefined;
  /**
   * Told of every failure that no caller can see.
   * @default rate-limited `console.error`
   */
  readonly onError?: ErrorHandler | undefined;
};

/** How long the info of a session is kept that nobody uses and nobody deletes. */
export type InfoTtlOption = {
  /**
   * The info of a session that was not used for this long is forgotten; every request of its client is a use.
   * @default 604_800_000 (7 days)
   */
  readonly infoTtlMs?: number | undefined;
};

type StoredInfoRules = {
  readonly sendTimeoutMs: OptionRule<number>;
  readonly maxOutboxBytes: OptionRule<number>;
  readonly onError: OptionRule<ErrorHandler | undefined>;
};

const DAY_MS = 86_400_000;

/** For `readOptions`: a backend spreads these beside its own. */
export const storedInfoRules: StoredInfoRules = {
  sendTimeoutMs: option.durationMs(10_000),
  maxOutboxBytes: option.bytes(64 * 1024 * 1024),
  onError: option.callback<ErrorHandler>(),
};

/** Up to ten years: it is compared, never counted down. */
export const infoTtlRule: OptionRule<number> = option.durationMs(7 * DAY_MS, { max: 3_650 * DAY_MS });

/** The options with every default filled in. */
export type StoredInfoSettings = OptionsOf<StoredInfoRules>;
