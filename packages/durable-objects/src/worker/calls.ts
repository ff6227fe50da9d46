import { SessionError } from '@tmcp/session-manager';

/** What the runtime says about a failed call. */
type CallError = { retryable?: boolean; overloaded?: boolean; remote?: boolean; durableObjectReset?: boolean };

const WORTH_A_RETRY = /code was updated|Network connection lost|Cannot resolve Durable Object/;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/**
 * Calls a shard until it answers, until trying again cannot help, or until the deadline. Each try takes a stub of its
 * own, for one that has failed once stays broken. What is called has to bear being called again.
 *
 * @throws SessionError `unavailable`, `timeout` or `refused`
 */
export async function callShard<T>(deadlineMs: number, call: (attempt: number) => Promise<T>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (let attempt = 1; ; attempt += 1) {
    const failure = await tryOnce(deadlineMs / 2, () => call(attempt));
    if ('value' in failure) return failure.value;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
    if (!failure.again || performance.now() + pauseMs > deadline) throw failure.error;
    await pause(pauseMs);
  }
}

/** One try, whose failure says whether another one may help. @throws SessionError `unavailable` or `refused` */
export async function callOnce<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw describe(error).error;
  }
}

/** Rejects when a promise takes too long. The promise itself goes on; what it becomes is of no interest then. */
export async function withinMs<T>(ms: number, promise: Promise<T>, error: () => SessionError): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(error()), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

type Outcome<T> = { readonly value: T } | { readonly error: SessionError; readonly again: boolean };

async function tryOnce<T>(ms: number, call: () => Promise<T>): Promise<Outcome<T>> {
  const late = (): SessionError =>
    new SessionError('timeout', 'a Durable Object did not answer within "sendTimeoutMs"');
  try {
    return { value: await withinMs(ms, call(), late) };
  } catch (error) {
    return describe(error);
  }
}

function describe(error: unknown): { readonly error: SessionError; readonly again: boolean } {
  if (SessionError.is(error)) return { error, again: error.code === 'timeout' || error.code === 'unavailable' };
  const { retryable, overloaded, remote, durableObjectReset } = (error ?? {}) as CallError;
  const text = error instanceof Error ? error.message : '';
  if (overloaded) {
    return { error: unavailable('a Durable Object is overloaded; use more "shards"', error), again: false };
  }
  const again = retryable === true || durableObjectReset === true || WORTH_A_RETRY.test(text) || remote !== true;
  if (again) return { error: unavailable('a Durable Object cannot be reached', error), again };
  return { error: new SessionError('refused', 'a Durable Object refused a call', { cause: error }), again };
}

function unavailable(message: string, cause: unknown): SessionError {
  return new SessionError('unavailable', message, { cause });
}
