/** Runs work side by side, and lets the answers come out in the order of the calls. */
export class InCallOrder {
  #last: Promise<unknown> = Promise.resolve();

  /** @param work must not reject, and must settle in time: later answers wait for it */
  run<T>(work: () => Promise<T>): Promise<T> {
    const answer = work();
    const inOrder = this.#last.then(() => answer);
    this.#last = inOrder;
    return inOrder;
  }
}
