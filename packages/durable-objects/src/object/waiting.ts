/** Calls of this moment that wait for a message of a Worker: probes, and sessions whose Worker is about to come back. */
export class Waiting {
  readonly #waiting = new Map<string, ((answered: boolean) => void)[]>();

  /** Resolves with true when `answer` is called, false after a while. The object stays in memory meanwhile. */
  wait(key: string, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(false), ms);
      const done = (answered: boolean): void => {
        clearTimeout(timer);
        const rest = this.#waiting.get(key)?.filter((other) => other !== done) ?? [];
        if (rest.length > 0) this.#waiting.set(key, rest);
        else this.#waiting.delete(key);
        resolve(answered);
      };
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), done]);
    });
  }

  answer(key: string, answer = true): void {
    for (const done of this.#waiting.get(key) ?? []) done(answer);
  }
}
