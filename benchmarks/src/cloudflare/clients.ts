import { randomUUID } from 'node:crypto';
import { deferred } from 'test-support';
import type { Deployment } from './deployment.ts';
import type { SseClient } from './sse-client.ts';

const OPENED_AT_A_TIME = 50;
const DEADLINE_MS = 60_000;

/** Somebody who waits for frames of one client, or of all. */
type Waiter = {
  readonly index: number | undefined;
  left: number;
  readonly resolve: (moment: number) => void;
  readonly reject: (error: Error) => void;
};

/** Clients of one deployment, each with the stream of a session of its own. What each of them gets is numbered. */
export class Clients implements Disposable {
  /** In the order in which they were opened. */
  readonly sessions: string[] = [];
  readonly #deployment: Deployment;
  readonly #clients: SseClient[] = [];
  readonly #waiters = new Set<Waiter>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** Opens streams until there are so many. */
  async grow(count: number): Promise<void> {
    while (this.sessions.length < count) {
      const missing = Math.min(OPENED_AT_A_TIME, count - this.sessions.length);
      const sessions = Array.from({ length: missing }, () => randomUUID());
      const clients = await Promise.all(sessions.map((session) => this.#deployment.open(session)));
      for (const client of clients) {
        const index = this.#clients.push(client) - 1;
        client.onFrame = () => this.#frameCame(index, client);
      }
      this.sessions.push(...sessions);
    }
  }

  /**
   * Waits for so many frames of one client, or of all together. Called before they are sent.
   *
   * @returns the moment when the last of them came
   * @throws when they do not come, or one comes out of order
   */
  async arrival(frames: number, index?: number): Promise<number> {
    const { promise, resolve, reject } = deferred<number>();
    const waiter: Waiter = { index, left: frames, resolve, reject };
    const late = (): void => reject(new Error(`${waiter.left} of ${frames} frames did not come`));
    const timer = setTimeout(late, DEADLINE_MS);
    this.#waiters.add(waiter);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.drop();
  }

  #frameCame(index: number, { numbers }: SseClient): void {
    const now = performance.now();
    const [before, last] = numbers.slice(-2);
    const disorder = before !== undefined && last !== undefined && last !== before + 1;
    for (const waiter of this.#waiters) {
      if (waiter.index !== undefined && waiter.index !== index) continue;
      if (disorder) waiter.reject(new Error(`frame ${last} came after frame ${before}`));
      waiter.left -= 1;
      if (waiter.left === 0) waiter.resolve(now);
    }
  }
}
