/** The end of one call, on the monotonic clock: the other one may be set back. */
export class Deadline {
  readonly #at: number;

  constructor(ms: number) {
    this.#at = performance.now() + ms;
  }

  leftMs(): number {
    return Math.max(0, this.#at - performance.now());
  }

  get passed(): boolean {
    return this.leftMs() === 0;
  }

  /**
   * Settles in time, whatever becomes of the work. The timer holds the process open, as a socket does that waits for an
   * answer: who awaits a call must hear what became of it.
   */
  within<T>(work: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(late()), this.leftMs());
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}

/** Ends early, and rejects with the reason, when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A time between half and all of it, so that those who wait do not return at once. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
