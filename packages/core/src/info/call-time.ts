/** A clock of this process may stand still for this long before we say that the machine slept. */
const SLEPT_MS = 1_000;

/** When a call was made, on the clocks of this process. */
export class CallTime {
  /** Of `performance.now()`. */
  readonly at: number;
  readonly #wall: number;

  private constructor(at: number, wall: number) {
    this.at = at;
    this.#wall = wall;
  }

  static now(): CallTime {
    return new CallTime(performance.now(), Date.now());
  }

  /**
   * Milliseconds since then. The monotonic clock is exact, but stops while a machine sleeps or a serverless function
   * is frozen between two requests; the other one then tells how long that was.
   */
  age(): number {
    const monotonic = performance.now() - this.at;
    const wall = Date.now() - this.#wall;
    return wall - monotonic > SLEPT_MS ? wall : monotonic;
  }

  /** The same call, moved to `at` if it was before that. */
  notBefore(at: number): CallTime {
    return at <= this.at ? this : new CallTime(at, this.#wall + at - this.at);
  }
}
