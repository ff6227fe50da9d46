import { SessionError } from '../errors.ts';
import { type AppendAnswer, type Batch, type ClaimAnswer, LOST } from './backplane.ts';
import { type BatchEntry, encodeBatch, encodeEntry, type OutgoingControl, type OutgoingPayload } from './batch.ts';
import { after, atDeadline, backOffMs, type Timer } from './clock.ts';
import { memoryOf, OutboxQueue, type Waiting } from './outbox-queue.ts';
import { randomId } from './text.ts';

/** What became of an operation: its position, and for a claim what it found. */
export type Appended = {
  readonly epoch: string;
  readonly position: number;
  readonly claim: ClaimAnswer | undefined;
};

export type OutboxHost = {
  readonly sendTimeoutMs: number;
  readonly maxOutboxBytes: number;
  readonly partBytes: number;
  readonly batchBytes: number;
  /** Position up to which this node has read. */
  cursor(): number;
  /** Resolves when there is an epoch to write in, and this node's place in it is certain. */
  ready(): Promise<void>;
  epoch(): string;
  append(batch: Omit<Batch, 'node'>): Promise<AppendAnswer>;
  putLarge(id: string, payload: string): Promise<void>;
  /** Resolves when the node has adopted the current epoch. */
  epochChanged(): Promise<void>;
  /** The backend has forgotten what it had acknowledged. */
  gap(): void;
  /** Why there is no epoch yet. */
  failure(): unknown;
};

/** Larger payloads are stored beside the log. */
export const INLINE_PAYLOAD_BYTES: number = 64 * 1024;

const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 1_000;

/**
 * Brings operations into the log in call order. One batch is in flight; what arrives meanwhile is the next batch, so
 * that load makes batches larger, not the queue longer.
 *
 * A batch whose outcome is unclear is tried again unchanged, under its number, until the backend has acknowledged
 * it, and the backend stores a number only once: this is what makes a retry safe, and what lets a claim always learn
 * where its stream starts. Callers stop waiting at their deadline; then their message may have been stored or not.
 */
export class Outbox {
  readonly #host: OutboxHost;
  readonly #queue = new OutboxQueue();
  #inFlight: readonly Waiting[] = [];
  #running = false;
  #closed: SessionError | undefined;
  #everAcknowledged = false;
  #producerId: string | undefined;
  #number = 0;
  #acknowledged = 0;
  #deadlineTimer: Timer | undefined;
  #retryNow: (() => void) | undefined;
  #idle: (() => void)[] = [];
  /** The oldest position that a claim which is not acknowledged yet may depend on. */
  #claimHold: number | undefined;
  /** Why the batch in flight has not been acknowledged yet. */
  #lastFailure: unknown;

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  get #producer(): string {
    this.#producerId ??= randomId();
    return this.#producerId;
  }

  /** Bytes that are taken but not stored. */
  get backlogBytes(): number {
    return this.#queue.bytes;
  }

  /** While a claim is in flight the written cursor must not pass this position. */
  get claimHold(): number | undefined {
    return this.#claimHold;
  }

  /** Resolves with the position of a payload when it is stored; rejects at its deadline, or when it is refused. */
  send(operation: OutgoingPayload): Promise<Appended> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (operation.mergeable && !this.#everAcknowledged) {
      const equal = this.#queue.findEqual(operation);
      if (equal) return equal.promise;
    }
    const entry = encodeEntry(operation, operation.payloadBytes > INLINE_PAYLOAD_BYTES ? randomId(24) : undefined);
    if (this.#queue.bytes + memoryOf(entry) > this.#host.maxOutboxBytes) {
      return Promise.reject(
        new SessionError(
          'outbox-full',
          `more than ${this.#host.maxOutboxBytes} bytes wait to be stored: the backend is unreachable or too slow; ` +
            'raise "maxOutboxBytes" if this process may hold more',
        ),
      );
    }
    return this.#push(entry, performance.now() + this.#host.sendTimeoutMs);
  }

  /** The same for a control operation, which has no deadline: the state of a session depends on it. */
  control(operation: OutgoingControl): Promise<Appended> {
    if (this.#closed) return Promise.reject(this.#closed);
    return this.#push(encodeEntry(operation, undefined), Number.POSITIVE_INFINITY);
  }

  /** Takes back a control operation. @returns false when it is on its way already */
  withdraw(operation: OutgoingControl): boolean {
    const [waiting] = this.#queue.takeOut((each) => each.operation === operation);
    if (waiting) this.#queue.fail(waiting, new SessionError('timeout', 'the operation was taken back'));
    this.#settleIdle();
    return waiting !== undefined;
  }

  /** The backend can be reached again: a batch that waits for its next try goes now. */
  retryNow(): void {
    this.#retryNow?.();
  }

  /** The log is taken as it is now: numbers start anew under a name that nobody has seen. */
  renewProducer(): void {
    this.#producerId = randomId();
    this.#number = 0;
    this.#acknowledged = 0;
  }

  /** Resolves when nothing waits any more. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#settleIdle();
    });
  }

  /** It may still wait for the backend, with nothing to bring there: what waited was taken back, or ran out of time. */
  #settleIdle(): void {
    if (this.#queue.length > 0 || this.#inFlight.length > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Refuses what is waiting and what comes. */
  close(reason: SessionError): void {
    this.#closed = reason;
    clearTimeout(this.#deadlineTimer);
    for (const each of [...this.#inFlight, ...this.#queue.takeAll()]) this.#queue.fail(each, reason);
    this.retryNow();
  }

  #push(entry: BatchEntry, deadline: number): Promise<Appended> {
    const { promise } = this.#queue.push(entry, deadline, this.#host.epoch());
    if (this.#deadlineTimer === undefined && deadline !== Number.POSITIVE_INFINITY) this.#armDeadline(deadline);
    if (!this.#running) {
      this.#running = true;
      // The next microtask: what the caller sends in this tick shares the batch, and nothing waits for a timer.
      queueMicrotask(() => this.#run());
    }
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      await this.#host.ready().catch(() => undefined);
      const taken = this.#queue.take(this.#host.batchBytes);
      if (taken.length > 0) await this.#deliver(taken);
    }
    this.#running = false;
    if (this.#closed) this.#queue.takeAll(); // put back when it came too late; refused already
    clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = undefined;
    this.#settleIdle();
  }

  /** Brings one batch in, however often it has to be tried. Never rejects. */
  async #deliver(taken: Waiting[]): Promise<void> {
    this.#inFlight = taken;
    if (taken.some(({ operation }) => 'k' in operation && operation.k === 'c')) this.#claimHold = this.#host.cursor();
    let content = this.#encode(taken);
    let producer = this.#producer;
    let number = ++this.#number;
    let unclear = false;
    for (let attempt = 0; !this.#closed; attempt += 1) {
      try {
        if (attempt > 0) await this.#host.ready();
        if (producer !== this.#producer) {
          if (unclear) {
            this.#enterNewEpoch(taken);
            break;
          }
          // Nothing was stored for certain: the same operations go into the new epoch, under a new number.
          producer = this.#producer;
          number = ++this.#number;
          content = this.#encode(taken);
          for (const each of taken) each.largeStored = false;
        }
        await this.#storeLarge(taken);
        if (producer !== this.#producer) continue; // the log began anew meanwhile
        const epoch = this.#host.epoch();
        const position = { epoch, producer, number, acknowledged: this.#acknowledged };
        const answer = await this.#host.append({ ...position, ...content });
        if (answer.state === 'stored') {
          this.#everAcknowledged = true;
          if (epoch !== this.#host.epoch()) {
            // Stored, but in a log that has ended since: what was claimed there counts no more.
            this.#enterNewEpoch(taken);
            break;
          }
          if (producer === this.#producer) this.#acknowledged = number;
          this.#succeed(taken, epoch, answer.last, answer.claims);
          if (answer.gap) this.#host.gap();
          break;
        }
        await this.#host.epochChanged();
        // Into the new epoch at once; but a log that vanishes at every look is not to be asked all the time.
        if (attempt > 0 || producer === this.#producer) await this.#pause(attempt);
      } catch (cause) {
        if (SessionError.is(cause) && cause.code === 'invalid-message') {
          this.#refused(taken, cause);
          break;
        }
        unclear = true;
        this.#lastFailure = cause;
        await this.#pause(attempt);
      }
    }
    this.#lastFailure = undefined;
    this.#inFlight = [];
    // One microtask later: by then every stream has heard what its claim found, and holds the cursor itself.
    await undefined;
    this.#claimHold = undefined;
  }

  #encode(taken: readonly Waiting[]): ReturnType<typeof encodeBatch> {
    const epoch = this.#host.epoch();
    return encodeBatch(
      taken.map((each) => inEpoch(epoch, each)),
      this.#host.partBytes,
    );
  }

  /**
   * The old epoch may have stored this batch before it ended. Control operations are safe to repeat, for what they
   * name is gone; a message is not, for it may have been read.
   */
  #enterNewEpoch(taken: Waiting[]): void {
    const lost = new SessionError('discontinuity', 'the log started anew while this message was on its way');
    for (const each of taken) if ('payload' in each.operation) this.#queue.fail(each, lost);
    this.#queue.putBack(taken.filter(({ operation }) => 'k' in operation));
  }

  /** What else is in the batch does not suffer: each is tried alone, and only the one that is meant fails. */
  #refused(taken: Waiting[], cause: SessionError): void {
    const [only] = taken;
    if (only && taken.length === 1) {
      this.#queue.fail(only, cause);
      return;
    }
    this.#queue.putBackAlone(taken);
  }

  async #storeLarge(taken: Waiting[]): Promise<void> {
    for (const each of taken) {
      const { operation, largeId, largeStored } = each;
      if (largeId === undefined || largeStored || !('payload' in operation)) continue;
      await this.#host.putLarge(largeId, operation.payload);
      each.largeStored = true;
    }
  }

  #succeed(taken: Waiting[], epoch: string, last: number, claims: readonly ClaimAnswer[]): void {
    const base = last - taken.length;
    let nextClaim = 0;
    for (const [index, waiting] of taken.entries()) {
      const { operation } = waiting;
      const isClaim = 'k' in operation && operation.k === 'c';
      const claim = isClaim ? claims[nextClaim++] : undefined;
      this.#queue.succeed(waiting, { epoch, position: base + index + 1, claim });
    }
  }

  async #pause(attempt: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = after(backOffMs(attempt, FIRST_RETRY_MS, LONGEST_RETRY_MS), resolve);
      this.#retryNow = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#retryNow = undefined;
  }

  #armDeadline(deadline: number): void {
    this.#deadlineTimer = atDeadline(Math.max(1, deadline - performance.now()), () => this.#expire());
  }

  /** Tells the callers whose time is up. What is in flight may still be stored; what waits is taken out. */
  #expire(): void {
    this.#deadlineTimer = undefined;
    const time = performance.now();
    let next = Number.POSITIVE_INFINITY;
    const due = (each: Waiting): boolean => {
      if (each.deadline <= time) return true;
      next = Math.min(next, each.deadline);
      return false;
    };
    const error = this.#timeoutError();
    for (const each of this.#inFlight) if (due(each)) each.reject(error);
    for (const each of this.#queue.takeOut(due)) this.#queue.fail(each, error);
    this.#settleIdle();
    if (next !== Number.POSITIVE_INFINITY) this.#armDeadline(next);
  }

  #timeoutError(): SessionError {
    const cause = this.#lastFailure ?? this.#host.failure();
    if (SessionError.is(cause) && LASTING.has(cause.code))
      return new SessionError(cause.code, cause.message, { cause });
    return new SessionError(
      'timeout',
      `the backend did not store the message within "sendTimeoutMs" (${this.#host.sendTimeoutMs} ms); ` +
        'it may be stored nevertheless',
      { cause },
    );
  }
}

/** A place in a log that has ended is none in the one that follows: whoever claims next there has to say so. */
function inEpoch(epoch: string, waiting: Waiting): BatchEntry {
  const { operation } = waiting;
  if (waiting.epoch === epoch || !('k' in operation) || operation.k !== 'r') return waiting;
  return encodeEntry({ ...operation, d: LOST, p: LOST }, undefined);
}

/** Failures that waiting does not mend: their own code tells more than `timeout`. */
const LASTING = new Set(['refused', 'schema-missing', 'configuration']);
