import type { EncryptionOption } from './encryption/encryption-options.ts';
import { type OptionRule, type OptionsOf, option } from './options.ts';
import type { ErrorHandler, Reporter } from './report.ts';
import type { Lifetimes } from './session-driver.ts';

/** Options of every backend. Times are milliseconds, sizes bytes. */
export type BackendOptions = {
  /**
   * Keys that credentials and headers are encrypted with; `false` turns encryption off.
   * @default the keys of STORAGE_ENCRYPTION_KEY or STORAGE_ENCRYPTION_KEYS, if one of them is set
   */
  readonly encryption?: EncryptionOption | undefined;
  /** Refuses to start without a key. @default false */
  readonly requireEncryption?: boolean | undefined;
  /** A pending session ends so long after its creation, or after its last change. @default 600_000 (10 minutes) */
  readonly pendingMs?: number | undefined;
  /** No pending session lives longer than this, however often it is changed. @default 3_600_000 (1 hour) */
  readonly maxPendingMs?: number | undefined;
  /** An active session ends when it was neither changed nor touched for so long. @default 2_592_000_000 (30 days) */
  readonly dormantMs?: number | undefined;
  /** Every call of the backend settles within this time. @default 10_000 */
  readonly operationTimeoutMs?: number | undefined;
  /**
   * What one session may hold as it is stored: encrypted fields take a third more, PostgreSQL puts spaces into JSON. A
   * change that would make it larger is refused; refreshed tokens are not. @default 262_144 (256 KiB)
   */
  readonly maxRecordBytes?: number | undefined;
  /** Told of failures that no caller can see, and of warnings. @default `console.error`, rate-limited */
  readonly onError?: ErrorHandler | undefined;
};

const DAY_MS = 86_400_000;
const LONGEST_MS = 36_500 * DAY_MS;

type BackendRules = {
  readonly encryption: OptionRule<EncryptionOption | undefined>;
  readonly requireEncryption: OptionRule<boolean>;
  readonly pendingMs: OptionRule<number>;
  readonly maxPendingMs: OptionRule<number>;
  readonly dormantMs: OptionRule<number>;
  readonly operationTimeoutMs: OptionRule<number>;
  readonly maxRecordBytes: OptionRule<number>;
  readonly onError: OptionRule<ErrorHandler | undefined>;
};

/** For `readOptions`: a backend spreads these beside its own. */
export const backendRules: BackendRules = {
  encryption: option.value<EncryptionOption>(
    'false, a key, a key provider or an object of encryption options',
    (value) => value === false || (typeof value === 'string' && value !== '') || isObject(value),
  ),
  requireEncryption: option.boolean(false),
  pendingMs: option.wholeNumber(600_000, { min: 1, max: LONGEST_MS }),
  maxPendingMs: option.wholeNumber(3_600_000, { min: 1, max: LONGEST_MS }),
  dormantMs: option.wholeNumber(30 * DAY_MS, { min: 1, max: LONGEST_MS }),
  operationTimeoutMs: option.wholeNumber(10_000, { min: 1, max: 3_600_000 }),
  maxRecordBytes: option.wholeNumber(262_144, { min: 1_024, max: 16 * 1024 * 1024 }),
  onError: option.callback<ErrorHandler>(),
};

/** The options of every backend with their defaults filled in. */
export type BackendSettings = OptionsOf<BackendRules>;

/** What a driver is made with. */
export type DriverContext = Lifetimes & {
  /** After this the caller is told that the call timed out: a driver ends its retries before. */
  readonly operationTimeoutMs: number;
  /** For failures that no caller can see, and for warnings, once per text. */
  readonly report: Pick<Reporter, 'error' | 'warn'>;
};

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
