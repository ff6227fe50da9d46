import { SessionError, type SessionErrorCode } from './errors.ts';

/**
 * Is told of every failure that no caller can see. It gets a `SessionError` with a code; message and code never hold
 * payloads, the driver's own error stands in `cause`. What it throws or rejects with is caught.
 */
export type ErrorHandler = (error: SessionError) => void;

/** Long enough for a log to stay readable during an outage, short enough to see that it lasts. */
const QUIET_MS = 10_000;

/** Connection strings have no place in driver messages; this is the second lock on that door. */
const CREDENTIALS = /\/\/[^\s/@]*@/g;

/**
 * The handler that is used when none is given: `console.error`, at most one line per code in ten seconds. The line
 * after a pause says how many were left out. It has no timer, so a storm's last count shows with the next error.
 */
export function createConsoleErrorHandler(): ErrorHandler {
  const codes = new Map<SessionErrorCode, { printedAt: number; suppressed: number }>();
  return (error) => {
    const now = performance.now();
    const last = codes.get(error.code);
    if (last !== undefined && now - last.printedAt < QUIET_MS) {
      last.suppressed += 1;
      return;
    }
    codes.set(error.code, { printedAt: now, suppressed: 0 });
    const more = last?.suppressed ? ` (${last.suppressed} more with this code were not shown)` : '';
    // biome-ignore lint/suspicious/noConsole: this is the default onError, the only place that may.
    console.error(`[tmcp sessions] ${error.code}: ${error.message}${describeCause(error.cause)}${more}`);
  };
}

/** One for all managers of the process, so that several of them do not multiply the lines of one outage. */
const consoleErrorHandler: ErrorHandler = createConsoleErrorHandler();

/**
 * The handler that a manager calls: the given one or the default, made safe. A handler that throws, or returns a
 * promise that rejects, is reported on the console and does no harm.
 */
export function guardErrorHandler(handler: ErrorHandler | undefined): ErrorHandler {
  if (handler === undefined) return consoleErrorHandler;
  const failed = (cause: unknown): void =>
    consoleErrorHandler(new SessionError('callback-failed', 'the onError handler itself failed', { cause }));
  return (error) => {
    try {
      const result: unknown = handler(error);
      if (isThenable(result)) Promise.resolve(result).catch(failed);
    } catch (cause) {
      failed(cause);
    }
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Only the text of the cause: its other properties may hold the statement, its values or the address. */
function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return '';
  const code = 'code' in cause && typeof cause.code === 'string' ? `${cause.code} ` : '';
  const text = cause.message.split('\n', 1)[0]?.slice(0, 300).replace(CREDENTIALS, '//***@') ?? '';
  return code === '' && text === '' ? '' : ` [${code}${text}]`;
}
