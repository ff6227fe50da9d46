import { withinMs } from './attempts.ts';

/** Runs work side by side, and lets the answers come out in the order of the calls. */
export class InCallOrder {
  readonly #longestMs: number;
  #last: Promise<unknown> = Promise.resolve();
  /** `performance.now()` at which it is settled, or never will be. */
  #lastEnds = 0;

  /** @param longestMs work that lasts longer died with its request, as on Workers: later answers do not wait for it */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** @param work must not reject */
  run<T>(work: () => Promise<T>): Promise<T> {
    const answer = work();
    const [before, now] = [this.#last, performance.now()];
    const own = (): Promise<T> => answer;
    const inOrder = withinMs(Math.max(0, this.#lastEnds - now), () => before).then(own, own);
    this.#last = inOrder;
    this.#lastEnds = now + this.#longestMs;
    return inOrder;
  }
}
