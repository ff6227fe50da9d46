import type { RedisClient } from './redis-client.ts';
import { readFailure } from './redis-failure.ts';

/** The connection did not come about; `cause` is what the client said last. */
export class NotConnected extends Error {
  /** It was ended, or refused: waiting does not help. */
  readonly final: boolean;

  constructor(final: boolean, cause: unknown) {
    super('not connected', { cause });
    this.final = final;
  }
}

type Waiter = { readonly resolve: () => void; readonly reject: (final: boolean) => void };

/**
 * Holds calls back until they go out at once. Left to itself ioredis would queue them, and send them whenever the
 * server is back, long after their caller has been told that they failed.
 */
export class Connection {
  readonly #client: RedisClient;
  readonly #waiters: Set<Waiter> = new Set();
  #cause: unknown;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** @throws NotConnected */
  async ready(timeoutMs: number): Promise<void> {
    if (this.#client.status === 'ready') {
      this.#cause = undefined;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => waiter.reject(false), timeoutMs);
      const stop = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#listen('off');
      };
      const waiter: Waiter = {
        resolve: () => {
          stop();
          resolve();
        },
        reject: (final) => {
          stop();
          reject(new NotConnected(final, this.#cause));
        },
      };
      // One set of listeners for all: the client takes a crowd of them for a leak.
      if (this.#waiters.size === 0) this.#listen('on');
      this.#waiters.add(waiter);
      if (this.#client.status === 'end') waiter.reject(true);
      // A client that waits for its first command; what becomes of it, the events say.
      if (this.#client.status === 'wait') this.#client.connect().catch(this.#onError);
    });
  }

  #listen(how: 'on' | 'off'): void {
    this.#client[how]('ready', this.#onReady);
    this.#client[how]('end', this.#onEnd);
    this.#client[how]('error', this.#onError);
  }

  readonly #onReady = (): void => {
    for (const waiter of [...this.#waiters]) waiter.resolve();
  };

  readonly #onEnd = (): void => this.#reject();

  readonly #onError = (error: unknown): void => {
    this.#cause = reasonOf(error);
    if (readFailure(this.#cause).refused) this.#reject();
  };

  #reject(): void {
    for (const waiter of [...this.#waiters]) waiter.reject(true);
  }
}

/** A cluster says no more than that no node answers, and hangs on what one of them said. */
function reasonOf(error: unknown): unknown {
  const { lastNodeError } = error as { lastNodeError?: unknown };
  return lastNodeError ?? error;
}
