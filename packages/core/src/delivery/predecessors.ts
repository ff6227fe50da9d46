import type { Liveness } from './backplane.ts';
import { elapsedMs, now, sleep } from './clock.ts';

/** A node counts as dead when its connection is missing at two looks this far apart, and it did not beat in between. */
export const SECOND_LOOK_MS = 300;

/** Most predecessors release within a few milliseconds; until then nobody asks about their node. */
const FIRST_LOOK_MS = 20;

type Inspect = (
  node: string,
  heardWithinMs: number | undefined,
) => Promise<{ liveness: Liveness; cursor: number | undefined }>;

/**
 * Watches nodes whose release is awaited by streams here, one question per node and look, however many streams wait.
 */
export class Predecessors<Waiting> {
  readonly #inspect: Inspect;
  readonly #died: (waiting: ReadonlySet<Waiting>, cursor: number | undefined) => Promise<void>;
  readonly #report: (error: unknown) => void;
  readonly #patienceMs: number;
  readonly #nodes = new Map<string, Set<Waiting>>();
  #stopped = false;

  /**
   * @param died called once a node is judged dead, with those who still wait for it and the cursor it wrote last
   * @param patienceMs how long a living node may take; none needs that long, but nothing here waits for ever
   */
  constructor(
    inspect: Inspect,
    died: (waiting: ReadonlySet<Waiting>, cursor: number | undefined) => Promise<void>,
    report: (error: unknown) => void,
    patienceMs: number,
  ) {
    this.#inspect = inspect;
    this.#died = died;
    this.#report = report;
    this.#patienceMs = patienceMs;
  }

  add(node: string, waiting: Waiting): void {
    const watched = this.#nodes.get(node);
    if (watched) {
      watched.add(waiting);
      return;
    }
    const set = new Set([waiting]);
    this.#nodes.set(node, set);
    void this.#watch(node, set);
  }

  remove(node: string, waiting: Waiting): void {
    this.#nodes.get(node)?.delete(waiting);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #watch(node: string, waiting: Set<Waiting>): Promise<void> {
    const since = now();
    await sleep(FIRST_LOOK_MS);
    let suspectSince: ReturnType<typeof now> | undefined;
    while (waiting.size > 0 && !this.#stopped) {
      try {
        const { liveness, cursor } = await this.#inspect(node, suspectSince && SECOND_LOOK_MS);
        if (liveness === 'attached') suspectSince = undefined;
        else if (liveness === 'suspect') suspectSince ??= now();
        const gone = suspectSince !== undefined && elapsedMs(suspectSince) >= SECOND_LOOK_MS;
        if (liveness === 'dead' || gone || elapsedMs(since) > this.#patienceMs) {
          // Who comes from now on is watched anew: by then this answer may be old.
          this.#nodes.delete(node);
          await this.#died(waiting, cursor);
          return;
        }
      } catch (error) {
        this.#report(error);
      }
      await sleep(SECOND_LOOK_MS);
    }
    if (this.#nodes.get(node) === waiting) this.#nodes.delete(node);
  }
}
