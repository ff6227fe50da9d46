import type { BackendConnection } from './backend-connection.ts';
import { Deadline, jittered, pause } from './deadline.ts';
import { SessionStoreError } from './errors.ts';
import { redact } from './redact.ts';
import type { SessionKey } from './session-driver.ts';
import { invalid, locked, lockLost, notFound, unavailable } from './session-errors.ts';
import { generateSessionId } from './session-ids.ts';
import type { Lease, LockOptions } from './session-store.ts';

const DEFAULT_TTL_MS = 20_000;
/** Longer than the lease, so that who waits outlives a holder that died. */
const DEFAULT_WAIT_MS = 30_000;
const SHORTEST_TTL_MS = 100;
const LONGEST_MS = 3_600_000;
const FIRST_POLL_MS = 20;
const LONGEST_POLL_MS = 250;

type HoldOptions<T> = LockOptions & {
  /**
   * The work spends what cannot be had again: its result counts although the lock was lost, for its writes are guarded by the
   * version anyway, and the store is not closed before its end.
   */
  readonly mustFinish?: boolean | undefined;
  /** Asked each time that somebody else holds the lock: what it finds is the result, and nothing is waited for any more. */
  readonly insteadOfWaiting?: (() => Promise<T | undefined>) | undefined;
};

/**
 * Runs work while no other process holds the lock. The lock keeps others waiting; what must not overwrite a change of
 * others is written with `ifVersion`, for a process that was frozen holds a lock that is long gone.
 *
 * @throws SessionStoreError `locked`, `lock_lost`, `not_found`; what the work throws; the reason of `signal`
 */
export async function holdLock<T>(
  connection: BackendConnection,
  key: SessionKey,
  options: HoldOptions<T>,
  run: (lease: Lease) => Promise<T>,
): Promise<T> {
  const ttlMs = range('ttlMs', options.ttlMs ?? DEFAULT_TTL_MS, SHORTEST_TTL_MS);
  const waitMs = range('waitMs', options.waitMs ?? DEFAULT_WAIT_MS, 0);
  const token = generateSessionId();
  const { signal: givenUp, insteadOfWaiting } = options;
  const acquired = await acquire(connection, key, token, { ttlMs, waitMs, signal: givenUp, insteadOfWaiting });
  if ('found' in acquired) return acquired.found;
  const { version, askedAt } = acquired;
  const held = new HeldLease(connection, key, token, ttlMs, askedAt + ttlMs);
  const work = () => runHolding(held, version, key, options, run);
  return options.mustFinish === true ? connection.holdOpen(work) : work();
}

async function runHolding<T>(
  held: HeldLease,
  version: number,
  key: SessionKey,
  { signal: givenUp, mustFinish }: HoldOptions<T>,
  run: (lease: Lease) => Promise<T>,
): Promise<T> {
  try {
    // The lock may have been granted after nobody wanted it any more.
    givenUp?.throwIfAborted();
    const signal = givenUp === undefined ? held.signal : AbortSignal.any([held.signal, givenUp]);
    const result = await run({ signal, version });
    if (held.lost && mustFinish !== true) throw lockLost(key.sessionId);
    return result;
  } catch (error) {
    const known = SessionStoreError.is(error) && error.code === 'lock_lost';
    throw held.lost && mustFinish !== true && !known ? lockLost(key.sessionId, error) : error;
  } finally {
    await held.end();
  }
}

type AcquireOptions<T> = Pick<HoldOptions<T>, 'insteadOfWaiting' | 'signal'> & {
  readonly ttlMs: number;
  readonly waitMs: number;
};

async function acquire<T>(
  connection: BackendConnection,
  key: SessionKey,
  token: string,
  { ttlMs, waitMs, signal, insteadOfWaiting }: AcquireOptions<T>,
): Promise<{ version: number; askedAt: number } | { found: T }> {
  const until = performance.now() + waitMs;
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(2 * pollMs, LONGEST_POLL_MS)) {
    signal?.throwIfAborted();
    const askedAt = performance.now();
    const result = await connection.call('withLock', 'write', ({ driver }) => driver.acquireLease(key, token, ttlMs));
    if (result === 'missing') throw notFound(key.sessionId, 'not-applied');
    if (result !== 'held') return { version: result.version, askedAt };
    const found = await insteadOfWaiting?.();
    if (found !== undefined) return { found };
    const leftMs = until - performance.now();
    if (leftMs <= 0) throw locked(key.sessionId);
    await pause(Math.min(jittered(pollMs), leftMs), signal);
  }
}

/** Extends the lease until it is ended, or lost: then `signal` is aborted. */
class HeldLease {
  readonly #connection: BackendConnection;
  readonly #key: SessionKey;
  readonly #token: string;
  readonly #ttlMs: number;
  readonly #lost: AbortController = new AbortController();
  readonly #ended: AbortController = new AbortController();
  readonly #extending: Promise<void>;
  /** Ours until then, by our own clock: from before the request that the backend granted. */
  #until: number;

  constructor(connection: BackendConnection, key: SessionKey, token: string, ttlMs: number, until: number) {
    this.#connection = connection;
    this.#key = key;
    this.#token = token;
    this.#ttlMs = ttlMs;
    this.#until = until;
    this.#extending = this.#extend();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get lost(): boolean {
    return this.#lost.signal.aborted || performance.now() >= this.#until;
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await this.#extending;
    try {
      await this.#connection.callToFinish('withLock', 'write', ({ driver }) =>
        driver.releaseLease(this.#key, this.#token),
      );
    } catch (error) {
      // The work is done and its result stands; others wait until the lease ends by itself.
      if (!this.lost) this.#connection.reporter.error(this.#asStoreError(error));
    }
  }

  async #extend(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted && !this.lost) {
      const restMs = this.#until - performance.now();
      await pause(Math.min(this.#ttlMs / 3, restMs), signal).catch(() => undefined);
      if (signal.aborted) return;
      const asked = performance.now();
      // A process that stood still meanwhile: the backend would give it again, but others may have had it in between.
      if (this.lost) break;
      try {
        const extended = await this.#beforeItEnds();
        if (extended === 'missing' || extended === 'held' || this.lost) break;
        this.#until = asked + this.#ttlMs;
      } catch (error) {
        const failure = this.#asStoreError(error);
        // Lost: the holder is told, by its signal and by its result.
        if (failure.code === 'closed' || failure.code === 'lock_lost') break;
        this.#connection.reporter.error(failure);
        await pause(Math.min(this.#ttlMs / 10, LONGEST_POLL_MS), signal).catch(() => undefined);
      }
    }
    if (!signal.aborted) this.#lost.abort(lockLost(this.#key.sessionId));
  }

  /** A request that hangs must not hide that the lease ran out. */
  #beforeItEnds(): Promise<unknown> {
    const answer = this.#connection.callToFinish('withLock', 'write', ({ driver }) =>
      driver.acquireLease(this.#key, this.#token, this.#ttlMs),
    );
    const rest = new Deadline(Math.max(0, this.#until - performance.now()));
    return rest.within(answer, () => lockLost(this.#key.sessionId));
  }

  #asStoreError(error: unknown): SessionStoreError {
    if (SessionStoreError.is(error)) return error;
    return unavailable(this.#connection.driver.backend, 'withLock', { cause: redact(error) });
  }
}

function range(name: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= LONGEST_MS) return value;
  throw invalid(`${name} must be a whole number from ${min} to ${LONGEST_MS}`);
}
