import { waitUntil } from 'cloudflare:workers';

/**
 * Lets work go on after the response. It ends at the latest 30 s after it.
 *
 * @returns false outside of requests (at module scope), where nothing can be sent anyway
 */
export function keepRunning(work: Promise<unknown>): boolean {
  try {
    waitUntil(work.catch(() => undefined));
    return true;
  } catch {
    return false;
  }
}

/**
 * Recognizes the request that made it. Nothing that does I/O may be shared between requests, and the runtime names
 * them nowhere; but it refuses to look at a socket of another request.
 */
export class RequestMark {
  readonly #socket: WebSocket = new WebSocketPair()[0];

  isCurrent(): boolean {
    try {
      return this.#socket.readyState >= 0;
    } catch {
      return false;
    }
  }
}

/** Looking at a socket of another request costs an exception, about 30 µs: beyond this many, a request counts as new. */
const LOOKS = 16;

/** One value per request, made when it is first asked for. */
export class PerRequest<T> {
  readonly #make: () => T;
  readonly #isDead: (value: T) => boolean;
  readonly #kept = new Map<RequestMark, T>();

  /** @param isDead whether the request of a value must have ended: it cannot say so itself */
  constructor(make: () => T, isDead: (value: T) => boolean) {
    this.#make = make;
    this.#isDead = isDead;
  }

  /** Those of requests that may still go on. */
  values(): T[] {
    for (const [mark, value] of this.#kept) if (this.#isDead(value)) this.#kept.delete(mark);
    return [...this.#kept.values()];
  }

  get(): T {
    for (const [mark, value] of [...this.#kept].slice(-LOOKS).reverse()) {
      if (!this.#isDead(value) && mark.isCurrent()) return value;
    }
    const value = this.#make();
    this.#kept.set(new RequestMark(), value);
    return value;
  }

  /** It is done: a later call makes a new one. */
  forget(value: T): void {
    for (const [mark, kept] of this.#kept) if (kept === value) this.#kept.delete(mark);
  }
}
