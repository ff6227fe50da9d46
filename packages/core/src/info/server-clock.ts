import { SessionError } from '../errors.ts';
import type { Age } from './info-store.ts';

/** Clocks differ in their pace by less than this. */
const DRIFT = 0.0005;
/** How often a write is sent that took too long on its way to be judged. */
const MOST_SENDINGS = 3;

/** When a write was called, and by when it was sent at the latest. */
export type Dated = {
  /** Microseconds between the call and the sending. */
  readonly age: number;
  /** What the server's clock shows at most when the write is sent; 0 while that is not known. */
  readonly latest: number;
};

/** What the server says to a dated write: its clock, and whether it considered the write. */
export type DatedAnswer = { readonly now: number; readonly considered: boolean };

/**
 * What the clock of a server shows at most, judged by its answers: whoever answers "it is 12:00" did so after it was
 * asked. All numbers are microseconds.
 *
 * A statement can wait in the driver for a connection, is sent again when its answer was lost with one, and waits in a
 * server that is frozen. It then looks younger than it is, unless it carries the latest moment at which it can have been
 * sent. How close that is depends on the fastest answer so far: of two calls within that time the one that was held up
 * may count as the later one.
 */
export class ServerClock {
  #bound: { readonly offset: number; readonly at: number } | undefined;

  /**
   * Sends a write until the server considers it: twice where its clock is met for the first time. It must consider none
   * that arrives more than a second after `latest`.
   *
   * @param send asks for the date at the last moment, right before the write leaves
   * @throws SessionError `timeout` when the ways are too slow to tell which of two writes came first; what `send` threw
   */
  async send(age: Age, send: (date: () => Dated) => Promise<DatedAnswer>): Promise<void> {
    for (let sending = 0; sending < MOST_SENDINGS; sending += 1) {
      let sentAt = 0;
      const date = (): Dated => {
        const microseconds = age() * 1_000;
        sentAt = localMicroseconds();
        return { age: microseconds, latest: this.latest(sentAt) };
      };
      const { now, considered } = await send(date);
      this.learn(now, sentAt, localMicroseconds());
      if (considered) return;
    }
    throw new SessionError('timeout', 'writes take too long to reach the server to tell which of them came first');
  }

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
function localMicroseconds(): number {
  return performance.now() * 1_000;
}
