import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

type Entry = {
  at: number;
  readonly order: number;
  readonly owner: string | undefined;
  readonly everyMs: number | undefined;
  readonly run: () => void;
};

/**
 * Time that passes only when a test says so: minutes cost milliseconds, and a run depends on nothing but its seed.
 *
 * It stands in for `setTimeout`, `setInterval`, both clocks and `Math.random`. Every timer belongs to whoever set it
 * (`as`), however many promises lie between: so one of several processes that live in this one can be frozen, or
 * killed, while the others go on.
 */
export class VirtualTime {
  #now = 1_000_000;
  #entries: Entry[] = [];
  #order = 0;
  readonly #owner = new AsyncLocalStorage<string>();
  readonly #frozen = new Set<string>();
  readonly #dead = new Set<string>();
  #restore: (() => void)[] = [];

  get now(): number {
    return this.#now;
  }

  /** Timers that are set, of one owner or of all. */
  pending(owner?: string): number {
    return this.#entries.filter((entry) => owner === undefined || entry.owner === owner).length;
  }

  /** Runs something as this owner: timers that it sets, however late, are the owner's. */
  as<T>(owner: string, run: () => T): T {
    return this.#owner.run(owner, run);
  }

  /** Runs something as nobody: the network does not stop when a process does. */
  asNobody<T>(run: () => T): T {
    return this.#owner.exit(run);
  }

  sleep(ms: number): Promise<void> {
    return this.asNobody(() => new Promise((resolve) => void this.#set(resolve, ms, undefined)));
  }

  freeze(owner: string): void {
    this.#frozen.add(owner);
  }

  /** What fell due meanwhile runs at the next `advance`, even of nothing. */
  thaw(owner: string): void {
    this.#frozen.delete(owner);
  }

  kill(owner: string): void {
    this.#dead.add(owner);
    this.#entries = this.#entries.filter((entry) => entry.owner !== owner);
  }

  /** Lets time pass, timer by timer; between two of them everything settles that can. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let entry = this.#due(end); entry; entry = this.#due(end)) {
      this.#now = Math.max(this.#now, entry.at);
      this.#entries.splice(this.#entries.indexOf(entry), 1);
      if (entry.everyMs !== undefined) this.#insert({ ...entry, at: this.#now + entry.everyMs, order: ++this.#order });
      const { owner, run } = entry;
      if (owner === undefined) this.asNobody(run);
      else this.as(owner, run);
      await this.settle();
    }
    this.#now = end;
  }

  /** Lets time pass until a promise settles, at most so long. */
  async until<T>(promise: Promise<T>, mostMs = 60_000): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    await this.settle();
    for (const limit = this.#now + mostMs; !settled && this.#now < limit; ) await this.advance(10);
    if (!settled) throw new Error(`a promise did not settle within ${mostMs} ms`);
    return promise;
  }

  /** Lets everything run that waits for nothing but the current turn. */
  async settle(): Promise<void> {
    await nextTurn();
  }

  /** @param seed of `Math.random` */
  install(seed: number): void {
    const random = seededRandom(seed);
    this.#replace(globalThis, 'setTimeout', (run: () => void, ms = 0) => this.#set(run, ms, undefined));
    this.#replace(globalThis, 'setInterval', (run: () => void, ms = 0) => this.#set(run, ms, Math.max(1, ms)));
    this.#replace(globalThis, 'clearTimeout', (timer: unknown) => this.#clear(timer));
    this.#replace(globalThis, 'clearInterval', (timer: unknown) => this.#clear(timer));
    this.#replace(performance, 'now', () => this.#now);
    this.#replace(Date, 'now', () => 1_700_000_000_000 + this.#now);
    this.#replace(Math, 'random', random);
  }

  uninstall(): void {
    for (const restore of this.#restore.splice(0).reverse()) restore();
    this.#entries = [];
  }

  #replace(target: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
    this.#restore.push(() => {
      if (before) Object.defineProperty(target, name, before);
      else Reflect.deleteProperty(target, name);
    });
  }

  #set(run: () => void, ms: number, everyMs: number | undefined): VirtualTimer {
    const owner = this.#owner.getStore();
    // A function of its own, by which the timer is known when it is cleared.
    const entry: Entry = { at: this.#now + Math.max(1, ms), order: ++this.#order, owner, everyMs, run: () => run() };
    if (owner === undefined || !this.#dead.has(owner)) this.#insert(entry);
    return new VirtualTimer(entry.run);
  }

  #clear(timer: unknown): void {
    if (timer instanceof VirtualTimer) this.#entries = this.#entries.filter((entry) => entry.run !== timer.run);
  }

  #insert(entry: Entry): void {
    let index = this.#entries.length;
    while (index > 0 && (this.#entries[index - 1]?.at ?? 0) > entry.at) index -= 1;
    this.#entries.splice(index, 0, entry);
  }

  #due(end: number): Entry | undefined {
    return this.#entries.find(({ at, owner }) => at <= end && (owner === undefined || !this.#frozen.has(owner)));
  }
}

class VirtualTimer {
  readonly run: () => void;

  constructor(run: () => void) {
    this.run = run;
  }

  unref(): this {
    return this;
  }

  ref(): this {
    return this;
  }
}

/** Mulberry32: numbers in [0, 1) that depend on the seed alone. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
