/**
 * Why a call was refused or a promise could not be kept. Codes are part of the public API.
 *
 * - `invalid-option`: an option of a constructor or factory is unknown, contradictory or out of range
 * - `invalid-id`: a session id is not well-formed text of 1 to 1,024 bytes without control characters
 * - `invalid-message`: a message is not well-formed text, or holds a NUL character
 * - `message-too-large`: a message is larger than `maxMessageBytes`
 * - `outbox-full`: more than `maxOutboxBytes` wait to be stored; the message was refused
 * - `timeout`: the backend did not answer within `sendTimeoutMs`; a message may have been stored nevertheless
 * - `unavailable`: the backend cannot be reached
 * - `refused`: the backend answered and refused (wrong password, missing right, value out of range)
 * - `schema-missing`: tables or functions are missing and may not be created (`create: false`, no permission)
 * - `closed`: the manager was closed
 * - `not-found`: nothing is stored for this session
 * - `discontinuity`: the log was wiped, rolled back or trimmed past this process; its streams were ended
 * - `not-resumed`: a stream could not continue where its client left off and went live at the head
 * - `slow-reader`: a stream was ended because its client does not read
 * - `evicted`: this process was silent for so long that another one cleaned up after it
 * - `callback-failed`: a callback of a subscription threw or rejected
 * - `configuration`: the backend is set up in a way that weakens a promise; the message names the setting
 */
export type SessionErrorCode =
  | 'invalid-option'
  | 'invalid-id'
  | 'invalid-message'
  | 'message-too-large'
  | 'outbox-full'
  | 'timeout'
  | 'unavailable'
  | 'refused'
  | 'schema-missing'
  | 'closed'
  | 'not-found'
  | 'discontinuity'
  | 'not-resumed'
  | 'slow-reader'
  | 'evicted'
  | 'callback-failed'
  | 'configuration';

/** Marks errors of every copy of this package, where `instanceof` knows only its own. */
const BRAND: symbol = Symbol.for('@tmcp/session-manager/SessionError');

/**
 * The one error class of the session managers. The message says what happened and what to do about it; it never
 * holds payloads, credentials or connection strings, because transports show some of these messages to remote
 * clients. Driver errors stand in `cause`.
 */
export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly code: SessionErrorCode;

  constructor(code: SessionErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** True for a `SessionError` of any copy of this package. */
  static is(value: unknown): value is SessionError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
  }
}
