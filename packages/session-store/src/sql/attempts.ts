import { jittered, pause } from '../deadline.ts';
import { SessionStoreError } from '../errors.ts';
import { readFailure } from './driver-failure.ts';
import {
  failureOutcome,
  isSerializationFailure,
  type Operation,
  timeoutError,
  toStoreError,
} from './to-store-error.ts';

const MAX_ATTEMPTS = 3;
const PAUSE_MS = 100;
/** Transactions that meet part soon, and the statement was rolled back: this is worth more attempts. */
const MAX_MEETINGS = 20;
const MEETING_PAUSE_MS = 10;

/**
 * Runs an operation until its deadline. It is tried again after a serialization failure, and when the backend was not
 * there, provided that nothing was applied or that doing it twice does no harm.
 *
 * @param repeatable doing it twice has the effect of doing it once
 * @param attempt rejects when the signal aborts, or is left behind
 */
export async function runUntil<T>(
  timeoutMs: number,
  operation: Operation,
  repeatable: boolean,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const tooLate = timeoutError(operation, timeoutMs);
  const timer = setTimeout(() => controller.abort(tooLate), timeoutMs);
  const { signal } = controller;
  const started = performance.now();
  try {
    for (let failures = 1, meetings = 1; ; ) {
      try {
        return await unlessAborted(attempt(signal), signal);
      } catch (error) {
        if (signal.aborted) throw tooLate;
        const failure = toStoreError(error, operation, performance.now() - started);
        if (isSerializationFailure(error)) {
          if (meetings >= MAX_MEETINGS) throw failure;
          await pause(jittered(MEETING_PAUSE_MS * Math.min(meetings, 10)), signal);
          meetings += 1;
        } else {
          if (failures >= MAX_ATTEMPTS || !mayRepeat(error, repeatable)) throw failure;
          await pause(jittered(PAUSE_MS * failures), signal);
          failures += 1;
        }
      }
    }
  } finally {
    clearTimeout(timer);
    // Ends what was left behind: a request, or the connection that it runs on.
    controller.abort(tooLate);
  }
}

/** The backend was not there, or not able to; what it has understood and refused, it will refuse again. */
function mayRepeat(error: unknown, repeatable: boolean): boolean {
  if (SessionStoreError.is(error)) return false;
  const failure = readFailure(error);
  const { state, httpStatus } = failure;
  const isOutage =
    state !== undefined
      ? /^(08|53|57P|58)/.test(state)
      : httpStatus === undefined || httpStatus >= 500 || httpStatus === 429;
  return isOutage && (repeatable || failureOutcome(failure) === 'not-applied');
}

/** The promise, or what the signal aborts with. What comes later is nobody's any more. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
