export type SessionStoreErrorCode =
  | 'exists'
  | 'not_found'
  | 'conflict'
  | 'validation'
  | 'config'
  | 'schema'
  | 'encryption'
  | 'corrupt'
  | 'unavailable'
  | 'locked'
  | 'lock_lost'
  | 'closed';

/** Of a failed write: nothing was changed, or nobody knows. */
export type WriteOutcome = 'not-applied' | 'unknown';

const RETRYABLE: ReadonlySet<SessionStoreErrorCode> = new Set(['conflict', 'unavailable', 'locked', 'lock_lost']);

/** Marks errors of every copy of this package, where `instanceof` knows only its own. */
const BRAND: symbol = Symbol.for('@tmcp/session-store/error');

/**
 * The one error class of the session store. The message says what happened and what to do about it; it never holds
 * user ids, tokens, headers, keys, passwords or connection strings. A driver's error becomes `cause` only without
 * what it quotes (see `redact.ts`).
 */
export class SessionStoreError extends Error {
  override readonly name = 'SessionStoreError';
  readonly code: SessionStoreErrorCode;
  /** Whether the same call can succeed later; after `conflict` with what was read anew. */
  readonly retryable: boolean;
  /** Set on failed writes. */
  readonly outcome: WriteOutcome | undefined;
  /** `warning`: only ever given to `onError`, nothing failed. */
  readonly severity: 'error' | 'warning';

  constructor(
    code: SessionStoreErrorCode,
    message: string,
    options: {
      cause?: unknown;
      outcome?: WriteOutcome | undefined;
      severity?: 'warning' | undefined;
    } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.outcome = options.outcome;
    this.severity = options.severity ?? 'error';
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** True for a `SessionStoreError` of any copy of this package. */
  static is(value: unknown): value is SessionStoreError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
  }
}
