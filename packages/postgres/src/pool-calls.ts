import type { DriverClient, DriverPool, DriverPoolClient, Row } from './driver.ts';
import { runQuery } from './driver.ts';
import { isSerializationFailure, leavesConnectionUsable, timeoutError, toSessionError } from './errors.ts';

/** Runs one statement on the connection that a call was given. */
export type Run = (text: string, values?: readonly unknown[], name?: string) => Promise<Row[]>;

/**
 * A pool with deadlines. Every call settles in time, waiting for a free connection included; a connection that did
 * not answer in time is destroyed rather than given to the next caller.
 */
export class PoolCalls {
  readonly #pool: DriverPool;
  readonly #timeoutMs: number;

  constructor(pool: DriverPool, timeoutMs: number) {
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
    guard(pool);
  }

  /** One statement in a transaction of its own. */
  query(text: string, values?: readonly unknown[], name?: string): Promise<Row[]> {
    return this.use((run) => run(text, values, name));
  }

  /** Several statements in one transaction, each of which sees what was committed before it. */
  transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    return this.use(async (run) => {
      await run('begin isolation level read committed');
      try {
        const result = await work(run);
        await run('commit');
        return result;
      } catch (error) {
        if (leavesConnectionUsable(error)) await run('rollback');
        throw error;
      }
    });
  }

  /** Lends a connection. What collides with another transaction is run again, on the same connection. */
  async use<T>(
    work: (run: Run, client: DriverPoolClient) => Promise<T>,
    timeoutMs: number = this.#timeoutMs,
  ): Promise<T> {
    const expires = performance.now() + timeoutMs;
    try {
      const client = await this.#connect(timeoutMs);
      let failure: Error | boolean | undefined;
      client.on('error', ignore);
      try {
        const run: Run = (text, values, name) => runQuery(client, text, values, name);
        return await withDeadline(
          timeoutMs,
          expires,
          untilNoCollision(() => work(run, client), expires),
        );
      } catch (error) {
        if (!leavesConnectionUsable(error)) failure = true;
        throw error;
      } finally {
        client.removeListener('error', ignore);
        client.release(failure);
      }
    } catch (error) {
      throw toSessionError(error);
    }
  }

  /** A pool without a connection timeout of its own may make us wait for ever: a connection that comes late goes back. */
  async #connect(timeoutMs: number): Promise<DriverPoolClient> {
    const connecting = this.#pool.connect();
    let late = false;
    connecting.then(
      (client) => {
        if (late) client.release();
      },
      () => undefined,
    );
    return withDeadline(timeoutMs, performance.now() + timeoutMs, connecting).catch((error: unknown) => {
      late = true;
      throw error;
    });
  }

  /** Takes back what was added to a pool that is not ours. */
  detach(): void {
    unguard(this.#pool);
  }
}

const guards = new WeakMap<DriverPool, number>();

/**
 * Without a handler the loss of an idle connection ends the process. The pool has dropped it already.
 *
 * Connections get one as soon as they are made: when the server ends one in the moment in which it is ready, both
 * messages arrive together, and the second is emitted before the promise of `connect()` has told us about the first.
 */
function guard(pool: DriverPool): void {
  const users = guards.get(pool) ?? 0;
  guards.set(pool, users + 1);
  if (users > 0) return;
  pool.on('error', ignore);
  pool.on('connect', guardClient);
}

function unguard(pool: DriverPool): void {
  const users = (guards.get(pool) ?? 1) - 1;
  guards.set(pool, users);
  if (users > 0) return;
  pool.removeListener('error', ignore);
  pool.removeListener('connect', guardClient);
}

function guardClient(client: DriverClient): void {
  client.on('error', ignore);
}

/** Runs what was called off because it met another transaction again: nothing of it was done. */
export async function untilNoCollision<T>(work: () => Promise<T>, expires: number): Promise<T> {
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      return await work();
    } catch (error) {
      if (!isSerializationFailure(error) || performance.now() + pause >= expires) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
    }
  }
}

/** Rejects with `timeout` when a promise has not settled by then. */
export async function withDeadline<T>(timeoutMs: number, expires: number, promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(timeoutError(timeoutMs)), Math.max(0, expires - performance.now()));
        timer.unref();
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

function ignore(): void {}
