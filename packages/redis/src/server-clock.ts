/** Clocks differ in their pace by less than this. */
const DRIFT = 0.0005;

/**
 * What the clock of a server shows at most, judged by its answers: whoever answers "it is 12:00" did so after it was
 * asked. All numbers are microseconds.
 *
 * A command can wait in the driver for a connection, and is sent again when its answer was lost with one. It then looks
 * younger than it is, unless it carries the latest moment at which it can have been called. How close that is depends
 * on the fastest answer so far: of two calls within that time the one that is sent again may count as the later one.
 */
export class ServerClock {
  #bound: { readonly offset: number; readonly at: number } | undefined;

  /** @returns 0 before the first answer */
  latest(at: number): number {
    if (this.#bound === undefined) return 0;
    return Math.ceil(at + this.#bound.offset + (at - this.#bound.at) * DRIFT);
  }

  /** @param now what the server said to a question that was sent, and answered, at these moments of this process */
  learn(now: number, sentAt: number, answeredAt: number): void {
    const isTighter = now < this.latest(sentAt);
    // It was set, or is the clock of another server.
    const isRefuted = now > this.latest(answeredAt);
    if (isTighter || isRefuted) this.#bound = { offset: now - sentAt, at: sentAt };
  }
}

/** The monotonic clock of this process. */
export function localMicroseconds(): number {
  return performance.now() * 1_000;
}
