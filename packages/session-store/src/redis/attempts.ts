import { jittered, pause } from '../deadline.ts';
import { SessionStoreError, type WriteOutcome } from '../errors.ts';
import { redact, redactText } from '../redact.ts';
import { timedOut, unavailable } from '../session-errors.ts';
import { type Connection, NotConnected } from './connection.ts';
import { readFailure } from './redis-failure.ts';

/** What is done, for messages. */
export type Operation = {
  /** Its public name. */
  readonly name: string;
  readonly writes: boolean;
};

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
/** So much before the repository we give up, for we know what became of a write. */
const LONGEST_MARGIN_MS = 200;

/**
 * Runs an attempt when there is a connection, and again after failures that pass, such as a failover, until the time
 * is up. That is harmless for writes as well: the scripts know a write that they meet again.
 *
 * @param attempt is told how long its answer is waited for
 */
export async function attempts<T>(
  connection: Connection,
  operation: Operation,
  timeoutMs: number,
  attempt: (remainingMs: number) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs - Math.min(LONGEST_MARGIN_MS, timeoutMs / 10);
  let outcome: WriteOutcome = 'not-applied';
  let cause: unknown;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const remainingMs = deadline - performance.now();
    try {
      await connection.ready(remainingMs);
      return await within(remainingMs, () => attempt(deadline - performance.now()));
    } catch (error) {
      if (error instanceof TimeIsUp) throw tooLate(operation, timeoutMs, 'unknown', cause);
      if (error instanceof NotConnected) {
        cause = error.cause ?? cause;
        if (error.final) throw failed(operation, outcome, cause);
        throw tooLate(operation, timeoutMs, outcome, cause);
      }
      cause = error;
      const { passing, notApplied } = readFailure(error);
      if (!notApplied) outcome = 'unknown';
      if (!passing || performance.now() + pauseMs >= deadline) throw failed(operation, outcome, cause);
    }
    await pause(jittered(pauseMs));
  }
}

class TimeIsUp extends Error {}

async function within<T>(milliseconds: number, run: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeIsUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeIsUp()), milliseconds);
  });
  try {
    return await Promise.race([run(), timeIsUp]);
  } finally {
    clearTimeout(timer);
  }
}

function failed({ name, writes }: Operation, outcome: WriteOutcome, cause: unknown): SessionStoreError {
  if (cause !== undefined && readFailure(cause).refused) {
    const said = redactText((cause as Error).message).split(' ', 1)[0];
    const message = `The redis backend was refused by the server (${said}): check user, password and rights`;
    return new SessionStoreError('config', message, { cause: redact(cause), ...(writes ? { outcome } : {}) });
  }
  return unavailable('redis', name, { cause, ...(writes ? { outcome } : {}) });
}

function tooLate(
  { name, writes }: Operation,
  timeoutMs: number,
  outcome: WriteOutcome,
  cause: unknown,
): SessionStoreError {
  return timedOut('redis', name, timeoutMs, { cause, ...(writes ? { outcome } : {}) });
}
