import { SessionError } from '../errors.ts';
import { attemptUntil, withinMs } from './attempts.ts';
import { CallTime } from './call-time.ts';
import type { Age } from './info-store.ts';

/** What has not settled so long after its deadline never will. */
export const LATE_MS = 100;
/** What took longer on its way is known by its age to every store, and moves nobody behind it. */
const LONGEST_TRAVEL_MS = 1_000;

export type Write = {
  readonly session: string;
  /** What it keeps in memory until it is stored. */
  readonly bytes: number;
  /** Whether the subscribers of a URI may change with it. */
  readonly concerns: (uri: string) => boolean;
  readonly store: (age: Age) => Promise<void>;
};

export type WriteLimits = {
  readonly sendTimeoutMs: number;
  readonly maxOutboxBytes: number;
};

type Waiting = Write & {
  /** `performance.now()` at its call. */
  readonly calledAt: number;
  /** Never rejects. */
  readonly done: Promise<void>;
};

/** The writes of one session that are not stored yet, the first of them on its way. */
type Lane = {
  readonly waiting: Waiting[];
  /** Nothing in this lane was called before this, as far as the backend is told. */
  floor: number;
};

/**
 * Brings writes to the store: those of one session one after the other in call order, those of different sessions
 * side by side.
 *
 * The store orders writes of different processes by the moment of their call, "its own clock less the age". That is
 * late by the time the statement travelled, which differs from one to the next: a second write could seem older than
 * the first, and lose against it. So the age of a write that waited for its predecessor is told as if it had been
 * called later by what the predecessor's travel took at most. These are milliseconds, even when both waited seconds for a
 * backend that was down, and never more than a second. They keep the order within a session; a deletion that another
 * process called in between can be passed within these moments only.
 *
 * Each write is stored or given up within its deadline, unless it belongs to a request that died, which on Workers takes
 * its timers along: one that is late is passed over.
 */
export class SessionWrites {
  readonly #limits: WriteLimits;
  readonly #lanes = new Map<string, Lane>();
  #bytes = 0;
  #count = 0;
  #retries = 0;
  #failures = 0;

  constructor(limits: WriteLimits) {
    this.#limits = limits;
  }

  get pending(): { readonly writes: number; readonly bytes: number } {
    return { writes: this.#count, bytes: this.#bytes };
  }

  get retries(): number {
    return this.#retries;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Resolves when it is stored, rejects with a `SessionError` when it was given up. */
  add(write: Write): Promise<void> {
    if (this.#bytes + write.bytes > this.#limits.maxOutboxBytes) {
      this.#failures += 1;
      return Promise.reject(
        new SessionError(
          'outbox-full',
          'more than "maxOutboxBytes" of session info waits for the backend; it was refused',
        ),
      );
    }
    const lane = this.#lanes.get(write.session) ?? this.#open(write.session);
    const before = this.#settled(lane.waiting.at(-1)) ?? Promise.resolve();
    const called = CallTime.now();
    const stored = before.then(() => this.#store(write, called, lane));
    const waiting = { ...write, calledAt: called.at, done: stored.then(ignore, ignore) };
    lane.waiting.push(waiting);
    this.#count += 1;
    this.#bytes += write.bytes;
    return stored.finally(() => this.#remove(waiting, lane));
  }

  /** Resolves when everything that was called for this session so far is stored or given up; `undefined` if it is. */
  settledFor(session: string): Promise<void> | undefined {
    return this.#settled(this.#lanes.get(session)?.waiting.at(-1));
  }

  /** The same for everything that may change who is subscribed to a URI. */
  settledForUri(uri: string): Promise<void> | undefined {
    const concerned = [...this.#lanes.values()].flatMap(({ waiting }) =>
      waiting.filter((write) => write.concerns(uri)),
    );
    if (concerned.length === 0) return undefined;
    return Promise.all(concerned.map((write) => this.#settled(write))).then(ignore);
  }

  /** The same for everything. */
  async settledForAll(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(({ waiting }) => this.#settled(waiting.at(-1))));
  }

  /** Resolves when a write is stored, given up or passed over; `undefined` when there is nothing to wait for. */
  #settled(write: Waiting | undefined): Promise<void> | undefined {
    if (write === undefined) return undefined;
    const leftMs = write.calledAt + this.#limits.sendTimeoutMs + LATE_MS - performance.now();
    return leftMs > 0 ? withinMs(leftMs, () => write.done).catch(ignore) : undefined;
  }

  #open(session: string): Lane {
    const lane: Lane = { waiting: [], floor: Number.NEGATIVE_INFINITY };
    this.#lanes.set(session, lane);
    return lane;
  }

  async #store(write: Write, called: CallTime, lane: Lane): Promise<void> {
    const told = called.notBefore(lane.floor);
    const { sendTimeoutMs } = this.#limits;
    let sentAt = 0;
    try {
      await attemptUntil(
        () => {
          sentAt = performance.now();
          return write.store(() => told.age());
        },
        {
          deadline: called.at + sendTimeoutMs,
          attemptMs: Math.ceil(sendTimeoutMs / 2),
          onRetry: () => {
            this.#retries += 1;
          },
        },
      );
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
    const answeredAt = performance.now();
    lane.floor = told.at + Math.min(LONGEST_TRAVEL_MS, answeredAt - sentAt);
  }

  /** With those that it has passed over. */
  #remove(write: Waiting, lane: Lane): void {
    for (const { session, bytes } of lane.waiting.splice(0, lane.waiting.indexOf(write) + 1)) {
      this.#count -= 1;
      this.#bytes -= bytes;
      if (lane.waiting.length === 0) this.#lanes.delete(session);
    }
  }
}

function ignore(): void {}
