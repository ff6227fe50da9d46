import { backOffMs } from '../delivery/clock.ts';
import { SessionError } from '../errors.ts';

const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 1_000;

export type AttemptRules = {
  /** Of `performance.now()`: when the caller is told. */
  readonly deadline: number;
  /** When one attempt is given up for another, so that a hanging connection does not use up all the time. */
  readonly attemptMs: number;
  readonly onRetry: () => void;
};

/**
 * Tries until it works, until trying again cannot help, or until the deadline; always settles by then.
 *
 * These timers do hold the process open, as a socket does that waits for an answer: a program that awaits a call while
 * the backend is away must hear what became of it. Nothing runs when no call does.
 *
 * @throws SessionError the last attempt's, or `timeout`
 */
export async function attemptUntil<T>(attempt: () => Promise<T>, rules: AttemptRules): Promise<T> {
  let failure: SessionError | undefined;
  for (let retries = 0; ; retries += 1) {
    const leftMs = rules.deadline - performance.now();
    if (leftMs <= 0) throw failure ?? timedOut();
    try {
      return await withinMs(Math.min(leftMs, rules.attemptMs), attempt);
    } catch (error) {
      failure = asSessionError(error);
      if (failure.code !== 'unavailable' && failure.code !== 'timeout') throw failure;
    }
    const pauseMs = backOffMs(retries, FIRST_RETRY_MS, LONGEST_RETRY_MS);
    if (performance.now() + pauseMs >= rules.deadline) throw failure;
    rules.onRetry();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Settles in time, whatever becomes of the work; what it answers too late is of no interest. */
export function withinMs<T>(ms: number, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(timedOut()), ms);
    Promise.resolve()
      .then(work)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

export function asSessionError(error: unknown): SessionError {
  if (SessionError.is(error)) return error;
  return new SessionError('unavailable', 'the backend of the session info failed', { cause: error });
}

function timedOut(): SessionError {
  return new SessionError('timeout', 'the backend of the session info did not answer within "sendTimeoutMs"');
}
