import { SessionStoreError } from './errors.ts';
import { redactText } from './redact.ts';

/**
 * Is told of failures that no caller can see, and of warnings (`severity`). What it throws or rejects with is caught
 * and printed.
 */
export type ErrorHandler = (error: SessionStoreError) => void;

/** Long enough for a log to stay readable during an outage, short enough to see that it lasts. */
const QUIET_MS = 10_000;

/** Passes failures and warnings to `onError`; a warning once per text. */
export class Reporter {
  readonly #handler: ErrorHandler;
  readonly #warned: Set<string> = new Set();

  constructor(handler: ErrorHandler | undefined) {
    this.#handler = handler ?? printError;
  }

  readonly error = (error: SessionStoreError): void => {
    if (error.severity === 'warning') {
      if (this.#warned.has(error.message)) return;
      this.#warned.add(error.message);
    }
    try {
      const result: unknown = this.#handler(error);
      if (result instanceof Promise) result.catch(handlerFailed);
    } catch (cause) {
      handlerFailed(cause);
    }
  };

  readonly warn = (message: string): void => {
    this.error(new SessionStoreError('config', message, { severity: 'warning' }));
  };

  /** What was warned of so far. */
  get warnings(): readonly string[] {
    return [...this.#warned];
  }
}

const printed: Map<string, { at: number; suppressed: number }> = new Map();

/** The default: at most one line per text in ten seconds. The line after a pause says how many were left out. */
function printError(error: SessionStoreError): void {
  const line = `[tmcp session-store] ${error.severity}: ${error.message}${describeCause(error.cause)}`;
  const now = performance.now();
  const last = printed.get(error.code + error.severity);
  if (last !== undefined && error.severity === 'error' && now - last.at < QUIET_MS) {
    last.suppressed += 1;
    return;
  }
  printed.set(error.code + error.severity, { at: now, suppressed: 0 });
  const more = last?.suppressed ? ` (${last.suppressed} more were not shown)` : '';
  // biome-ignore lint/suspicious/noConsole: this is the default onError, the only place that may.
  console.error(line + more);
}

function handlerFailed(cause: unknown): void {
  const text = cause instanceof Error ? redactText(cause.message) : typeof cause;
  printError(new SessionStoreError('config', `the onError handler itself failed: ${text}`));
}

function describeCause(cause: unknown): string {
  return cause instanceof Error && cause.message !== '' ? ` [${redactText(cause.message)}]` : '';
}
