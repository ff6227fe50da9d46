import { SessionError } from '../errors.ts';
import type { ClientCapabilities, ClientInfo, LogLevel } from '../info-session-manager.ts';
import type { InfoField } from './info-store.ts';

/** The transport may pass `undefined`: that replaces what was there, and reads as "nothing stored". */
const NOTHING = '';

const LOG_LEVELS: ReadonlySet<unknown> = new Set<NonNullable<LogLevel>>([
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
]);

/**
 * JSON as text, whatever the field: NUL and lone surrogates are escaped in it, so that every store can keep it.
 *
 * @throws SessionError `invalid-message` for what JSON cannot express
 */
export function encodeInfo(value: unknown): string {
  try {
    return JSON.stringify(value) ?? NOTHING;
  } catch (cause) {
    throw new SessionError('invalid-message', 'session info must be a value that JSON can express', { cause });
  }
}

type InfoValue = {
  readonly clientInfo: ClientInfo;
  readonly clientCapabilities: ClientCapabilities;
  readonly logLevel: LogLevel;
};

/**
 * What was stored, of whatever version: 0.3.0 wrote the same texts, log levels included (`"debug"` with its quotes).
 *
 * @throws SessionError `not-found` when nothing is stored, or nothing that can be read
 */
export function decodeInfo<F extends InfoField>(field: F, json: string | undefined): InfoValue[F] {
  if (json === undefined || json === NOTHING) throw notFound('nothing is stored for this session');
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // The parser's own message quotes what it read.
    throw notFound('what is stored for this session cannot be read');
  }
  if (field === 'logLevel' && !LOG_LEVELS.has(value)) throw notFound('the stored log level is not one of MCP');
  return value as InfoValue[F];
}

function notFound(message: string): SessionError {
  return new SessionError('not-found', message);
}
