import type { ErrorHandler } from '../on-error.ts';
import { type OptionRule, type OptionsOf, option } from '../options.ts';

/** Options of everything that travels through the log. Times are milliseconds, sizes bytes. */
export type DeliveryOptions = {
  /**
   * A process whose last beat is older than this counts as dead: its sessions may be taken over, and it delivers
   * nothing itself until it has caught up.
   * @default 10_000
   */
  readonly sessionTimeoutMs?: number | undefined;
  /**
   * How often a process writes its beat and cursor and checks the end of the log.
   * @default 3_000
   */
  readonly heartbeatMs?: number | undefined;
  /**
   * How long a dropped session can be resumed. The log is kept twice as long.
   * @default 60_000
   */
  readonly resumeWindowMs?: number | undefined;
  /**
   * The log is trimmed beyond this size, whatever its readers have read; cutting one off is reported.
   * @default 268_435_456 (256 MiB); in memory 16_777_216 (16 MiB)
   */
  readonly maxLogBytes?: number | undefined;
  /**
   * A larger message is refused.
   * @default 16_777_216 (16 MiB)
   */
  readonly maxMessageBytes?: number | undefined;
  /**
   * A stream that was idle for this long gets a comment frame. 0 turns it off.
   * @default 15_000
   */
  readonly keepAliveMs?: number | undefined;
  /**
   * Deadline of a send, create, has or get.
   * @default 10_000
   */
  readonly sendTimeoutMs?: number | undefined;
  /**
   * Unread earlier bytes beyond which the stream of a slow reader is ended; it can resume.
   * @default 1_048_576 (1 MiB)
   */
  readonly maxStreamBufferBytes?: number | undefined;
  /**
   * What waits to be stored beyond this is refused and reported.
   * @default 67_108_864 (64 MiB)
   */
  readonly maxOutboxBytes?: number | undefined;
  /**
   * Whether frames carry an `id:` line, by which clients resume.
   * @default true
   */
  readonly eventIds?: boolean | undefined;
  /**
   * Told of every failure that no caller can see.
   * @default rate-limited `console.error`
   */
  readonly onError?: ErrorHandler | undefined;
};

const MiB = 1024 * 1024;

type DeliveryRules = {
  readonly sessionTimeoutMs: OptionRule<number>;
  readonly heartbeatMs: OptionRule<number>;
  readonly resumeWindowMs: OptionRule<number>;
  readonly maxLogBytes: OptionRule<number>;
  readonly maxMessageBytes: OptionRule<number>;
  readonly keepAliveMs: OptionRule<number>;
  readonly sendTimeoutMs: OptionRule<number>;
  readonly maxStreamBufferBytes: OptionRule<number>;
  readonly maxOutboxBytes: OptionRule<number>;
  readonly eventIds: OptionRule<boolean>;
  readonly onError: OptionRule<ErrorHandler | undefined>;
};

/** For `readOptions`: a backend spreads these beside its own. */
export const deliveryRules: DeliveryRules = {
  sessionTimeoutMs: option.durationMs(10_000),
  heartbeatMs: option.durationMs(3_000),
  resumeWindowMs: option.durationMs(60_000),
  maxLogBytes: option.bytes(256 * MiB),
  maxMessageBytes: option.bytes(16 * MiB, { max: 256 * MiB }),
  keepAliveMs: option.durationMs(15_000, { min: 0 }),
  sendTimeoutMs: option.durationMs(10_000),
  maxStreamBufferBytes: option.bytes(MiB),
  maxOutboxBytes: option.bytes(64 * MiB),
  eventIds: option.boolean(true),
  onError: option.callback<ErrorHandler>(),
};

/** Delivery options with every default filled in. */
export type DeliverySettings = OptionsOf<DeliveryRules>;
