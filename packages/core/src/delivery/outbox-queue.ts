import type { SessionError } from '../errors.ts';
import type { BatchEntry, Outgoing, OutgoingPayload } from './batch.ts';
import type { Appended } from './outbox.ts';

/** An operation that waits to be stored. */
export type Waiting = BatchEntry & {
  /** The epoch that the node was in when it was handed in. */
  readonly epoch: string;
  /** What is counted for it, until it is stored or refused. */
  bytes: number;
  /** `performance.now()` after which its caller is told that it failed; control operations have none. */
  readonly deadline: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: SessionError) => void;
  readonly promise: Promise<Appended>;
  largeStored: boolean;
};

const MAX_BATCH_OPERATIONS = 500;

/** What an operation takes in memory beside its texts, more or less. */
const OPERATION_BYTES = 64;

/** What waits to be stored, in call order, and how much memory it takes. Operations on their way are counted as well. */
export class OutboxQueue {
  #waiting: Waiting[] = [];
  #bytes = 0;
  /** So many operations are each a batch of their own: together they were refused. */
  #alone = 0;

  get length(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(entry: BatchEntry, deadline: number, epoch: string): Waiting {
    const { promise, resolve, reject } = promiseParts<Appended>();
    const bytes = memoryOf(entry);
    const waiting = { ...entry, epoch, bytes, deadline, resolve, reject, promise, largeStored: false };
    this.#waiting.push(waiting);
    this.#bytes += bytes;
    return waiting;
  }

  /** Puts back what was taken, in front. */
  putBack(taken: readonly Waiting[]): void {
    this.#waiting.unshift(...taken);
  }

  /** The same, and each has to go alone. */
  putBackAlone(taken: readonly Waiting[]): void {
    this.#alone = taken.length;
    this.putBack(taken);
  }

  /** Takes the operations of the next batch: bounded, and at most one control operation per session. */
  take(batchBytes: number): Waiting[] {
    if (this.#alone > 0) {
      this.#alone -= 1;
      return this.#waiting.splice(0, 1);
    }
    const sessions = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const { operation, entryBytes } of this.#waiting) {
      if (count === MAX_BATCH_OPERATIONS) break;
      if ('k' in operation) {
        if (sessions.has(operation.s)) break;
        sessions.add(operation.s);
      }
      // Two more: a comma, and what closes the part it may begin.
      bytes += entryBytes + 2;
      if (count > 0 && bytes > batchBytes) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  takeAll(): Waiting[] {
    return this.#waiting.splice(0);
  }

  /** Takes out those that meet a condition. */
  takeOut(isMeant: (waiting: Waiting) => boolean): Waiting[] {
    const taken: Waiting[] = [];
    const kept: Waiting[] = [];
    for (const waiting of this.#waiting) (isMeant(waiting) ? taken : kept).push(waiting);
    this.#waiting = kept;
    return taken;
  }

  findEqual(operation: OutgoingPayload): Waiting | undefined {
    return this.#waiting.find((waiting) => isSamePayload(waiting.operation, operation));
  }

  succeed(waiting: Waiting, appended: Appended): void {
    this.#forget(waiting);
    waiting.resolve(appended);
  }

  fail(waiting: Waiting, error: SessionError): void {
    this.#forget(waiting);
    waiting.reject(error);
  }

  /** It is counted no more; called again for one that was refused while it was on its way. */
  #forget(waiting: Waiting): void {
    this.#bytes -= waiting.bytes;
    waiting.bytes = 0;
  }
}

export function memoryOf({ operation, item }: BatchEntry): number {
  return OPERATION_BYTES + item.length + ('payload' in operation ? operation.payloadBytes : 0);
}

function isSamePayload(a: Outgoing, b: OutgoingPayload): boolean {
  return 'payload' in a && a.to === b.to && a.payload === b.payload;
}

function promiseParts<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: SessionError) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: SessionError) => void;
  const promise = new Promise<T>((ok, fail) => {
    resolve = ok;
    reject = fail;
  });
  return { promise, resolve, reject };
}
