import { SessionStoreError } from './errors.ts';

const LONGEST_MESSAGE = 300;
const URL_WITH_USER = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'`]*/gi;
const QUOTED = /"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'|`[^`]*`/g;
const ENVELOPE = /\b(?:mcpenc|enc):\d+:\S*/g;
/** Keys and tokens that a message may hold without quotes. */
const LONG_WORD = /[A-Za-z0-9_\-+/=.~]{33,}/g;

/**
 * What may be kept of a driver's error: its name, its code, where it was thrown, and a message without what it quotes.
 * PostgreSQL quotes values and whole rows, `JSON.parse` quotes what it read, `URL` carries its input as a property, and
 * ioredis hangs the command with all arguments on the error.
 */
export function redact(error: unknown): Error | undefined {
  if (error === undefined) return undefined;
  if (SessionStoreError.is(error)) return error;
  if (!(error instanceof Error)) return new Error(`a thrown ${error === null ? 'null' : typeof error}`);
  const clean = new Error(error instanceof SyntaxError ? 'text could not be parsed' : redactText(error.message));
  const code: unknown = 'code' in error ? error.code : undefined;
  const isCode = (typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code)) || typeof code === 'number';
  if (isCode) Object.defineProperty(clean, 'code', { value: code, enumerable: true });
  Object.defineProperty(clean, 'name', { value: /^[A-Za-z]{1,40}$/.test(error.name) ? error.name : 'Error' });
  clean.stack = [`${clean.name}: ${clean.message}`, ...framesOf(error)].join('\n');
  return clean;
}

/** A text of a driver without URLs, quoted values, envelopes and long words. */
export function redactText(text: string): string {
  return text
    .slice(0, 4 * LONGEST_MESSAGE)
    .replace(ENVELOPE, '***')
    .replace(URL_WITH_USER, '***')
    .replace(QUOTED, '***')
    .replace(LONG_WORD, '***')
    .slice(0, LONGEST_MESSAGE);
}

/** Lines of the stack after the message, which may have several lines of its own. */
function framesOf(error: Error): string[] {
  return (error.stack ?? '').split('\n').filter((line) => /^ {4}at [^"']*$/.test(line));
}
