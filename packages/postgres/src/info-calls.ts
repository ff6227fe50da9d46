import { timeoutError, toSessionError } from './errors.ts';
import type { PoolCalls } from './pool-calls.ts';
import { withDeadline } from './pool-calls.ts';

/**
 * Anything that runs statements: a `Pool` or `Client` of `pg`, `neon()` of `@neondatabase/serverless`, PGlite, a
 * function of the application. It answers rows, or an object that holds them.
 */
export type PostgresQueryable = {
  query(text: string, values: unknown[]): PromiseLike<unknown>;
};

/** How statements of the info manager travel. */
export type InfoCalls = {
  /**
   * @param values asked for when the statement leaves: they hold the age of a write
   * @param timeoutMs in place of the usual deadline
   */
  query(text: string, values?: () => readonly unknown[], timeoutMs?: number): Promise<readonly unknown[]>;
};

const nothing = (): readonly unknown[] => [];

/** A pool of `pg`: a connection that does not answer in time is destroyed. */
export function callsOfPool(calls: PoolCalls): InfoCalls {
  return { query: (text, values = nothing, timeoutMs) => calls.use((run) => run(text, values()), timeoutMs) };
}

/** Most statements at a time for something that is not a pool of `pg`: waiting here, they can be called off. */
const AT_ONCE = 8;

/** Anything else, of which we know `query` and nothing more. */
export function callsOfQueryable(queryable: PostgresQueryable, usualMs: number): InfoCalls {
  const turns = new Turns(isSingleConnection(queryable) ? 1 : AT_ONCE);
  return {
    async query(text, values = nothing, timeoutMs = usualMs) {
      const expires = performance.now() + timeoutMs;
      const leave = await turns.enter(timeoutMs);
      try {
        const answer = Promise.resolve(queryable.query(text, [...values()]));
        return rowsOf(await withDeadline(timeoutMs, expires, answer));
      } catch (error) {
        throw toSessionError(error);
      } finally {
        leave();
      }
    },
  };
}

/** A `Client` runs one statement at a time, and from version 9 of `pg` on it takes no second one. */
function isSingleConnection(queryable: object): boolean {
  const { connect, end } = queryable as { connect?: unknown; end?: unknown };
  return typeof connect === 'function' && typeof end === 'function';
}

function rowsOf(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer;
  const { rows } = (answer ?? {}) as { rows?: unknown };
  if (Array.isArray(rows)) return rows;
  throw new TypeError('query() must answer rows, or an object with rows');
}

/** Lets a limited number of calls in, in their order. */
class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** @returns a function that makes the place free again */
  async enter(timeoutMs: number): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(timeoutMs);
    return () => {
      const [next] = this.#waiting;
      if (next === undefined) this.#free += 1;
      else next();
    };
  }

  #wait(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(next);
        done();
      };
      const next = (): void => settle(resolve);
      const timer = setTimeout(() => settle(() => reject(timeoutError(timeoutMs))), timeoutMs).unref();
      this.#waiting.add(next);
    });
  }
}
