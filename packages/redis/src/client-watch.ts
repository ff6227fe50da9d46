import type { Redis } from './driver.ts';

/** Of the driver's socket and timer, as far as they are there. */
type Held = { unref?(): unknown };
type Insides = {
  readonly stream?: Held & { readonly bytesRead: number; destroy(cause: Error): unknown };
  readonly reconnectTimeout?: Held | null;
};

/**
 * Watches a client of our own: why it has no connection, and whether the one that it has is dead. While no call runs,
 * it does not keep the process alive; calls have timers that do.
 */
export class ClientWatch {
  readonly #client: Redis;
  #failure: unknown;

  constructor(client: Redis) {
    this.#client = client;
    client.on('error', (error: unknown) => this.#failed(error));
    client.on('connect', () => this.#insides.stream?.unref?.());
    client.on('reconnecting', () => this.#insides.reconnectTimeout?.unref?.());
    client.on('ready', () => {
      this.#failure = undefined;
    });
  }

  /** Why it could not connect, until it can: calls would wait in the driver meanwhile. */
  get failure(): unknown {
    return this.#failure;
  }

  /** To be asked when a call leaves. @returns a function for when it got no answer: the connection is ended if nobody did */
  expectAnswer(): () => void {
    const { stream } = this.#insides;
    const heard = stream?.bytesRead;
    return () => {
      if (stream !== undefined && stream === this.#insides.stream && stream.bytesRead === heard) {
        stream.destroy(new Error('Socket timeout: Redis said nothing'));
      }
    };
  }

  #failed(error: unknown): void {
    // One that was connected tells of its end by the calls that suffer from it.
    if (this.#client.status === 'ready') return;
    this.#failure = error;
    // The driver would go on with database 0.
    if (isSelect(error)) this.#insides.stream?.destroy(error);
  }

  get #insides(): Insides {
    return this.#client as unknown as Insides;
  }
}

function isSelect(error: unknown): error is Error {
  return error instanceof Error && (error as { command?: { name?: unknown } }).command?.name === 'select';
}
