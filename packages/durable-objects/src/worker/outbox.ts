import { randomId, SessionError, utf8Length } from '@tmcp/session-manager';
import type { ShardMessage, ShardSettings } from '../protocol.ts';
import { callShard, pause } from './calls.ts';
import { keepRunning, PerRequest } from './request.ts';
import type { Shards } from './shards.ts';

export type OutboxOptions = {
  readonly shards: Shards;
  readonly settings: ShardSettings;
  readonly sendTimeoutMs: number;
  readonly maxOutboxBytes: number;
};

/** What waits for its turn at one shard: a message, or anything else that has a place in the order. */
type Step =
  | { readonly message: ShardMessage; readonly done: (error?: unknown) => void }
  | { readonly message?: undefined; readonly run: () => Promise<void>; readonly done: (error?: unknown) => void };

type Lane = { readonly steps: Step[]; running: boolean };

/** What one request has on its way. */
type Pending = {
  /** By shard. */
  readonly lanes: Map<number, Lane>;
  /** List changes of a server that registers its tools in its first request, as long as they wait. */
  readonly merged: Map<string, Promise<void>>;
  bytes: number;
  /** When something was last begun. */
  movedAt: number;
};

const BATCH_MESSAGES = 1_000;
const BATCH_CHARACTERS = 1024 * 1024;
const FLUSHED_LOOK_MS = 10;

/**
 * Brings what one manager sends to the shards, in the order of the calls.
 *
 * Each request has one lane per shard: one call is on its way, what comes meanwhile is the next batch. Everything in a
 * lane is passed to `waitUntil`, so that it outlives a request that has its response already.
 *
 * Lanes are not shared between requests, for a call that was begun by one request dies with it; requests have no order
 * among each other. (Where calls of more than a few requests are on their way at once, a request may get a second lane
 * for what it sends in a later turn: then only calls that it awaits, or makes in one turn, are in order.) A request that
 * is ended by the runtime takes its timers along and tells nobody: what has not moved for longer than any call lasts is
 * dead, and is forgotten.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #requests: PerRequest<Pending>;
  /** By shard, as last heard: a try that is repeated in another epoch may have been stored in the lost one. */
  readonly #epochs = new Map<number, string>();
  #answered = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#requests = new PerRequest<Pending>(
      () => ({ lanes: new Map(), merged: new Map(), bytes: 0, movedAt: performance.now() }),
      // The last try of a call begins before its deadline and lasts half as long.
      ({ movedAt }) => performance.now() - movedAt > 2 * options.sendTimeoutMs,
    );
  }

  /** What waits to be stored. */
  get bytes(): number {
    return this.#requests.values().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * @param shards where it goes
   * @param mergeable may be merged with an equal one of this request that waits, as long as no shard has ever answered
   */
  async send(shards: readonly number[], message: (shard: number) => ShardMessage, mergeable: boolean): Promise<void> {
    if (shards.length === 0) return;
    const { data } = message(shards[0] ?? 0);
    const bytes = utf8Length(data);
    if (this.bytes + bytes > this.#options.maxOutboxBytes) {
      throw new SessionError('outbox-full', 'more than "maxOutboxBytes" waits to be stored; the message was refused');
    }
    const pending = this.#requests.get();
    const key = mergeable && !this.#answered ? data : undefined;
    const equal = key === undefined ? undefined : pending.merged.get(key);
    if (equal) return equal;
    const sent = this.#send(pending, shards, message, bytes);
    if (key !== undefined) {
      pending.merged.set(key, sent);
      const forget = (): unknown => pending.merged.get(key) === sent && pending.merged.delete(key);
      sent.then(forget, forget);
    }
    return sent;
  }

  /** Runs something in its place of the order. */
  run(shard: number, run: () => Promise<void>): Promise<void> {
    return this.#add(this.#requests.get(), shard, (done) => ({ run, done }));
  }

  /** Resolves when everything that waits, in whatever request, has been sent or given up. */
  async flushed(): Promise<void> {
    // Looked at, not awaited: a promise of a request that has died never settles.
    while (this.#requests.values().length > 0) await pause(FLUSHED_LOOK_MS);
  }

  async #send(
    pending: Pending,
    shards: readonly number[],
    message: (shard: number) => ShardMessage,
    bytes: number,
  ): Promise<void> {
    pending.bytes += bytes;
    try {
      const results = await Promise.allSettled(
        shards.map((shard) => this.#add(pending, shard, (done) => ({ message: message(shard), done }))),
      );
      const failed = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
      if (failed.length === 1 && shards.length === 1) throw failed[0];
      if (failed.length > 0) throw partly(failed, shards.length);
    } finally {
      pending.bytes -= bytes;
    }
  }

  #add(pending: Pending, shard: number, step: (done: (error?: unknown) => void) => Step): Promise<void> {
    let lane = pending.lanes.get(shard);
    if (!lane) {
      lane = { steps: [], running: false };
      pending.lanes.set(shard, lane);
    }
    const { steps } = lane;
    const added = new Promise<void>((resolve, reject) => {
      steps.push(step((error) => (error === undefined ? resolve() : reject(error))));
    });
    if (!lane.running) {
      lane.running = true;
      keepRunning(this.#drain(pending, shard, lane));
    }
    keepRunning(added);
    return added;
  }

  async #drain(pending: Pending, shard: number, lane: Lane): Promise<void> {
    // What is sent in one turn travels together.
    await Promise.resolve();
    while (lane.steps.length > 0) {
      const steps = takeBatch(lane.steps);
      pending.movedAt = performance.now();
      // Who hears of what is on its way looks at once: a later change has to be told as well.
      if (steps[0]?.message !== undefined) pending.merged.clear();
      let failure: unknown;
      try {
        await this.#perform(shard, steps);
        this.#answered = true;
      } catch (error) {
        failure = error ?? new SessionError('unavailable', 'a call failed without saying why');
      }
      for (const { done } of steps) done(failure);
    }
    lane.running = false;
    pending.lanes.delete(shard);
    if (pending.lanes.size === 0) this.#requests.forget(pending);
  }

  async #perform(shard: number, steps: readonly Step[]): Promise<void> {
    const [first] = steps;
    if (first && first.message === undefined) return first.run();
    const messages = steps.flatMap(({ message }) => (message ? [message] : []));
    const id = randomId(12);
    const { shards, settings, sendTimeoutMs } = this.#options;
    // That of the first try: another lane may hear of a new epoch meanwhile.
    const epoch = this.#epochs.get(shard);
    const published = await callShard(sendTimeoutMs, (attempt) =>
      shards.stub(shard).publish({ id, attempt, epoch, messages, settings }),
    );
    if (!published) return;
    this.#epochs.set(shard, published.epoch);
    if (!published.stored) {
      throw new SessionError('discontinuity', 'a shard lost its log while a message was on its way; it may be lost');
    }
  }
}

/** Takes the next step that stands alone, or the messages that can travel together. */
function takeBatch(steps: Step[]): Step[] {
  let characters = 0;
  let count = 0;
  for (const { message } of steps) {
    if (message === undefined) break;
    characters += message.data.length + charactersOf(message.to);
    if (count > 0 && (characters > BATCH_CHARACTERS || count >= BATCH_MESSAGES)) break;
    count += 1;
  }
  return steps.splice(0, Math.max(1, count));
}

/** A call carries 32 MiB: short messages to many sessions are mostly names. */
function charactersOf(ids: readonly string[] = []): number {
  return ids.reduce((sum, { length }) => sum + length, 0);
}

function partly(failed: readonly unknown[], shards: number): SessionError {
  const [first] = failed;
  const code = SessionError.is(first) ? first.code : 'unavailable';
  const cause = new AggregateError(failed, 'some shards failed');
  return new SessionError(code, `a message did not reach ${failed.length} of ${shards} shards`, { cause });
}
