/** What the clock of the server shows, as far as its last answer told; before that, we take it for ours. */
export class ServerClock {
  #offset: number = Date.now() - performance.now();

  /** @param milliseconds what the server just said */
  set(milliseconds: number): void {
    this.#offset = milliseconds - performance.now();
  }

  /** @param moment of `performance.now()` @returns milliseconds since 1970 */
  at(moment: number): number {
    return moment + this.#offset;
  }
}
