import { SessionError, type SessionErrorCode } from '../errors.ts';
import { guardErrorHandler } from '../on-error.ts';
import type { Backplane, BackplaneListener, BeatAnswer, LogPage, Part, SearchPage } from './backplane.ts';
import { after, backOffMs, elapsedMs, every, type Moment, NEVER, now, sleep, type Timer } from './clock.ts';
import type { DeliverySettings } from './delivery-options.ts';
import { decodePart, type Entries, isPayload, type PayloadItem, SUBSCRIPTIONS } from './entries.ts';
import { Housekeeping } from './housekeeping.ts';
import { type Appended, Outbox, type OutgoingControl, type OutgoingPayload } from './outbox.ts';
import { RecentParts } from './recent-parts.ts';
import { randomId } from './text.ts';

/** What a node tells the holder of its streams, in the order of the log. No method throws. */
export type StreamConsumer = {
  /** The payload is cut out of `data` only where it is due; `item` has its length. */
  frame(position: number, item: PayloadItem, data: string, offset: number): void;
  claimed(position: number, session: string, claim: string): void;
  released(session: string, claim: string, detach: number): void;
  ended(session: string): void;
  /** These sessions were claimed or ended while this node was not allowed to deliver. */
  moved(sessions: ReadonlySet<string>): void;
  /**
   * Continuity is lost: every stream whose claim is in the log ends.
   *
   * @param claimsRemain whether the claims are still held and have to be released
   */
  discontinued(claimsRemain: boolean): void;
  /** Everything up to this position has been handed to every stream held here. */
  lowestPosition(): number;
};

/** What a node tells its subscription manager, in the order of the log. No method throws. */
export type NotificationConsumer = {
  notification(item: PayloadItem, data: string, offset: number): void;
  discontinued(): void;
};

export type NodeStats = {
  readonly state: NodeState;
  readonly sent: number;
  readonly duplicates: number;
  readonly discontinuities: number;
  readonly backlogBytes: number;
  /** Operations that this node knows of and has not read. */
  readonly lag: number;
  readonly cursor: number;
  readonly failedBeats: number;
};

export type NodeState = 'idle' | 'opening' | 'open' | 'closing' | 'closed';

/** Recently read parts that are kept, in UTF-16 units. */
const RECENT_LENGTH = 2 * 1024 * 1024;
/** What arrives while the log is being read waits up to this length; beyond it, it is read again. */
const MAX_PENDING_LENGTH = 4 * 1024 * 1024;
const MAX_SEARCHES = 4;

/**
 * One process on the log of one namespace. It reads every entry in order from its cursor and hands on what concerns
 * the streams and subscriptions held here; it beats, and it proves at every step that nothing is missing:
 *
 * - positions are contiguous (a hole is read from the log before anything later is handed on),
 * - the head is not ahead of what arrived, nor behind the cursor (each heartbeat),
 * - the epoch, and the token at the cursor, are those it knows (each heartbeat and reconnect).
 *
 * What cannot be proven is a discontinuity: all streams end, the node adopts the log as it is and goes on. A node
 * whose last good beat is too old is fenced: others may have taken its sessions, so it first looks who has moved.
 */
export class DeliveryNode {
  readonly id: string = randomId();
  readonly settings: DeliverySettings;
  readonly recent: RecentParts = new RecentParts(RECENT_LENGTH);
  readonly #backplane: Backplane;
  readonly #outbox: Outbox;
  readonly #report: (error: SessionError) => void;
  readonly #housekeeping: Housekeeping;
  readonly #fenceAfterMs: number;

  #streams: StreamConsumer | undefined;
  #notifications: NotificationConsumer | undefined;
  #tenants = 0;

  #state: NodeState = 'idle';
  #openFailure: unknown;
  #readyWaiters: { resolve: () => void; reject: (error: unknown) => void; patient: boolean }[] = [];

  #epoch = '';
  #cursor = 0;
  /** Token of the part at the cursor; `undefined` while that is not known. */
  #token: string | undefined;
  #trimmed = 0;
  /** The furthest position known to exist. */
  #heardOf = 0;
  /** Something may lie beyond it. */
  #openEnded = false;
  #catchingUp = false;
  #emptyReads = 0;
  #pending: Part[] = [];
  #pendingLength = 0;

  /** Rises with every adoption: an answer to a question of before counts no more. */
  #generation = 0;
  #lastBeat: Moment = NEVER;
  #beating: Promise<boolean> | undefined;
  #beatTimer: Timer | undefined;
  #fenced = false;
  #adoption: Promise<void> | undefined;
  #searches = 0;
  #searchQueue: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  #sent = 0;
  #duplicates = 0;
  #discontinuities = 0;
  #failedBeats = 0;

  constructor(backplane: Backplane, settings: DeliverySettings) {
    this.#backplane = backplane;
    this.settings = settings;
    this.#report = guardErrorHandler(settings.onError);
    // A tenth, and never more than a second, for what lies between the check and the last enqueue.
    this.#fenceAfterMs = settings.sessionTimeoutMs - Math.min(1_000, settings.sessionTimeoutMs / 10);
    this.#housekeeping = new Housekeeping(backplane, this.id, settings, (error) => this.report(error));
    this.#outbox = new Outbox({
      sendTimeoutMs: settings.sendTimeoutMs,
      maxOutboxBytes: settings.maxOutboxBytes,
      partBytes: backplane.limits.partBytes,
      batchBytes: backplane.limits.batchBytes,
      cursor: () => this.#cursor,
      ready: () => this.#ready(true),
      epoch: () => this.#epoch,
      append: (batch) => backplane.append({ ...batch, node: this.id }),
      putLarge: (id, payload) => backplane.putLarge(id, payload),
      epochChanged: () => this.#checkAndAdopt(),
      gap: () => void this.#renew('the backend forgot what it had acknowledged'),
      failure: () => this.#openFailure,
    });
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** Every operation up to this position was acted on. */
  get cursor(): number {
    return this.#cursor;
  }

  get trimmed(): number {
    return this.#trimmed;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get keepsLog(): boolean {
    return this.#backplane.limits.keepsLog;
  }

  get backplane(): Backplane {
    return this.#backplane;
  }

  /** Takes the place of the stream holder. A node has one. */
  attachStreams(consumer: StreamConsumer): void {
    if (this.#streams) throw new SessionError('invalid-option', 'this node has a stream manager already');
    this.#streams = consumer;
    this.#tenants += 1;
  }

  /** Takes the place of the subscription manager. A node has one. */
  attachNotifications(consumer: NotificationConsumer): void {
    if (this.#notifications) throw new SessionError('invalid-option', 'this node has a subscription manager already');
    this.#notifications = consumer;
    this.#tenants += 1;
  }

  /** A manager is done with this node; the last one closes it. */
  async detach(): Promise<void> {
    this.#tenants -= 1;
    if (this.#tenants <= 0) await this.close();
    else await this.flushed();
  }

  /** Hands an error to `onError`. */
  report(error: unknown): void {
    this.#report(
      SessionError.is(error) ? error : new SessionError('unavailable', 'the backend failed', { cause: error }),
    );
  }

  /**
   * Resolves once the node has its place on the log.
   *
   * @throws SessionError the reason, when the backend refuses; `unavailable` after `sendTimeoutMs`; `closed`
   */
  async ready(): Promise<void> {
    if (this.#state === 'open') return;
    await withDeadline(this.#ready(false), this.settings.sendTimeoutMs, () => {
      const cause = this.#openFailure;
      return SessionError.is(cause)
        ? cause
        : new SessionError('unavailable', 'the backend cannot be reached', { cause });
    });
  }

  /** Brings a payload into the log. */
  send(operation: OutgoingPayload): Promise<Appended> {
    this.#start();
    this.#sent += 1;
    return this.#outbox.send(operation);
  }

  /** Brings a control operation into the log. */
  control(operation: OutgoingControl): Promise<Appended> {
    this.#start();
    return this.#outbox.control(operation);
  }

  /** Takes back a control operation that is not on its way yet. */
  withdraw(operation: OutgoingControl): boolean {
    return this.#outbox.withdraw(operation);
  }

  flushed(): Promise<void> {
    return withDeadline(this.#outbox.flushed(), this.settings.sendTimeoutMs, () => closedError()).catch((error) =>
      this.report(error),
    );
  }

  /** Whether frames may be handed out now. Asked before each delivery: after a freeze, data can run before timers. */
  mayDeliver(): boolean {
    if (this.#adoption || (this.#state !== 'open' && this.#state !== 'closing')) return false;
    if (!this.#fenced && elapsedMs(this.#lastBeat) > this.#fenceAfterMs) this.#fence();
    return !this.#fenced;
  }

  /** Searches the log for a session; a few at a time, whatever the number of streams that start. */
  async search(session: string, position: number, upTo: number): Promise<SearchPage> {
    if (this.#searches >= MAX_SEARCHES) await new Promise<void>((resolve) => this.#searchQueue.push(resolve));
    this.#searches += 1;
    try {
      return await this.#backplane.search(session, position, upTo);
    } finally {
      this.#searches -= 1;
      this.#searchQueue.shift()?.();
    }
  }

  /** A payload that is stored beside the log. */
  large(id: string): Promise<string | undefined> {
    return this.#backplane.getLarge(id);
  }

  /** Resolves when everything that was in the log at the time of the call has been acted on. */
  async caughtUp(): Promise<void> {
    while (this.#state === 'open' && !(await this.#beat())) await sleep(100);
    const target = this.#heardOf;
    const generation = this.#generation;
    while (this.#state === 'open' && this.#cursor < target && this.#generation === generation) await sleep(10);
  }

  stats(): NodeStats {
    return {
      state: this.#state,
      sent: this.#sent,
      duplicates: this.#duplicates,
      discontinuities: this.#discontinuities,
      backlogBytes: this.#outbox.backlogBytes,
      lag: Math.max(0, this.#heardOf - this.#cursor),
      cursor: this.#cursor,
      failedBeats: this.#failedBeats,
    };
  }

  /** Whether the backend answered lately. Never rejects. */
  async health(): Promise<{ ok: boolean; error: SessionError | undefined }> {
    try {
      await this.ready();
      if (elapsedMs(this.#lastBeat) <= this.#fenceAfterMs) return { ok: true, error: undefined };
      return { ok: false, error: new SessionError('unavailable', 'the last heartbeat is too old') };
    } catch (error) {
      return { ok: false, error: SessionError.is(error) ? error : closedError() };
    }
  }

  /** Flushes what waits, writes the exact cursor, leaves. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const wasOpen = this.#state === 'open';
    if (wasOpen) {
      this.#state = 'closing';
      await this.flushed();
      await this.#beating;
      await withDeadline(this.#backplane.leave(this.id), this.settings.sendTimeoutMs, closedError).catch((error) =>
        this.report(error),
      );
    }
    this.#state = 'closed';
    clearInterval(this.#beatTimer);
    this.#outbox.close(closedError());
    for (const { reject } of this.#readyWaiters.splice(0)) reject(closedError());
    await this.#backplane.close();
  }

  #start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'opening';
    void this.#open();
  }

  #ready(patient: boolean): Promise<void> {
    this.#start();
    if (this.#state === 'open' || this.#state === 'closing') return Promise.resolve();
    if (this.#state === 'closed') return Promise.reject(closedError());
    return new Promise((resolve, reject) => this.#readyWaiters.push({ resolve, reject, patient }));
  }

  /** Opens the backplane and registers at the head, as often as it takes. */
  async #open(): Promise<void> {
    let opened = false;
    for (let attempt = 0; this.#state === 'opening'; attempt += 1) {
      try {
        if (!opened) await this.#backplane.open(this.id, this.#listener);
        opened = true;
        const started = now();
        const answer = await this.#backplane.beat({ node: this.id, cursor: undefined, check: undefined });
        this.#adopt(answer, started);
        break;
      } catch (error) {
        this.#openFailure = error;
        this.report(error);
        this.#refuseImpatient(error);
        await sleep(backOffMs(attempt, 50, 5_000));
      }
    }
    if (this.#state !== 'opening') return;
    this.#openFailure = undefined;
    this.#state = 'open';
    this.#beatTimer = every(this.settings.heartbeatMs, () => void this.#beat());
    for (const { resolve } of this.#readyWaiters.splice(0)) resolve();
    this.#readOn();
  }

  /** A backend that answers "no" will not say yes in a moment: callers that can be told are told now. */
  #refuseImpatient(error: unknown): void {
    if (!SessionError.is(error) || error.code === 'unavailable' || error.code === 'timeout') return;
    const patient = this.#readyWaiters.filter((waiter) => waiter.patient);
    for (const { reject } of this.#readyWaiters.filter((waiter) => !waiter.patient)) reject(error);
    this.#readyWaiters = patient;
  }

  readonly #listener: BackplaneListener = {
    parts: (parts) => this.#arrived(parts),
    wake: (head) => {
      if (head === undefined) this.#openEnded = true;
      else this.#heardOf = Math.max(this.#heardOf, head);
      this.#readOn();
    },
    connected: () => {
      if (this.#state !== 'open') return;
      this.#outbox.retryNow();
      void this.#beat();
    },
    disconnected: (cause) =>
      this.report(
        SessionError.is(cause)
          ? cause
          : new SessionError('unavailable', 'the connection to the backend was lost; reconnecting', { cause }),
      ),
    report: (error) => this.report(error),
  };

  // --- reading -----------------------------------------------------------------------------------------------------

  #arrived(parts: readonly Part[]): void {
    if (this.#state !== 'open' && this.#state !== 'closing') return;
    for (const part of parts) {
      if (part.epoch !== this.#epoch) {
        // Of a log that this node has left, or does not know yet: the heartbeat tells which.
        if (!this.#adoption) void this.#beat();
        return;
      }
      if (part.last <= this.#cursor) {
        this.#duplicates += 1;
        continue;
      }
      this.#heardOf = Math.max(this.#heardOf, part.last);
      if (!this.mayDeliver()) continue;
      if (this.#catchingUp) this.#hold(part);
      else if (part.last - part.count === this.#cursor || !this.keepsLog) this.#apply(part);
      else {
        this.#hold(part);
        this.#readOn();
      }
    }
  }

  /** Keeps what arrives while the log is read, so that reading meets the live parts instead of chasing them. */
  #hold(part: Part): void {
    this.#pendingLength += part.head.length + part.data.length;
    if (this.#pendingLength <= MAX_PENDING_LENGTH) this.#pending.push(part);
  }

  #dropPending(): void {
    this.#pending = [];
    this.#pendingLength = 0;
  }

  #readOn(): void {
    if (!this.#catchingUp && this.#state === 'open') void this.#catchUp();
  }

  /** Reads the log until nothing is known to lie beyond the cursor. One at a time; never rejects. */
  async #catchUp(): Promise<void> {
    this.#catchingUp = true;
    for (let failures = 0; this.#behind() && this.mayDeliver() && this.#state === 'open'; ) {
      let page: LogPage;
      try {
        page = await this.#backplane.read(this.#cursor);
        failures = 0;
      } catch (error) {
        this.report(error);
        await sleep(backOffMs(failures++, 50, 5_000));
        continue;
      }
      if (!this.mayDeliver()) break;
      if (page.epoch !== this.#epoch) {
        await this.#checkAndAdopt();
        continue;
      }
      this.#trimmed = Math.max(this.#trimmed, page.trimmed);
      if (!this.#applyPage(page)) await this.#examineEmptiness();
    }
    this.#catchingUp = false;
    this.#dropPending();
  }

  #behind(): boolean {
    return this.#openEnded || this.#heardOf > this.#cursor;
  }

  /** @returns false when the page brought nothing although something is known to be there */
  #applyPage(page: LogPage): boolean {
    for (const part of page.parts) {
      if (part.last <= this.#cursor) continue;
      if (part.last - part.count !== this.#cursor && this.keepsLog) {
        void this.#discontinue('discontinuity', 'the log was trimmed before this process had read it', true);
        return true;
      }
      if (!this.mayDeliver()) return true;
      this.#apply(part);
    }
    const pending = this.#pending;
    this.#dropPending();
    for (const part of pending) {
      if (part.last <= this.#cursor) continue;
      if (part.last - part.count === this.#cursor && this.mayDeliver()) this.#apply(part);
      else this.#hold(part);
    }
    if (page.parts.length > 0) {
      this.#emptyReads = 0;
      return true;
    }
    this.#openEnded = false;
    return this.#heardOf <= this.#cursor;
  }

  /** A position was announced that the log does not hold: rolled back, wiped, or trimmed to the end. */
  async #examineEmptiness(): Promise<void> {
    this.#emptyReads += 1;
    if (!this.keepsLog) {
      this.#cursor = this.#heardOf;
      return;
    }
    if (this.#emptyReads > 2) {
      this.#emptyReads = 0;
      await this.#discontinue('discontinuity', 'the log lacks entries that it has announced', true);
      return;
    }
    this.#heardOf = this.#cursor;
    if (!(await this.#beat())) await sleep(100);
  }

  /** Acts on one part and moves the cursor behind it. */
  #apply(part: Part): void {
    let entries: Entries;
    try {
      entries = decodePart(part);
    } catch (cause) {
      this.report(new SessionError('discontinuity', 'an entry of the log cannot be read; it was skipped', { cause }));
      this.#cursor = part.last;
      this.#token = part.token;
      return;
    }
    const { items, data } = entries;
    const streams = this.#streams;
    let position = entries.base;
    let offset = 0;
    for (const item of items) {
      position += 1;
      if (isPayload(item)) {
        if (item[0] === SUBSCRIPTIONS) this.#notifications?.notification(item, data, offset);
        else streams?.frame(position, item, data, offset);
        offset += item[1];
      } else if (streams) {
        if (item.k === 'c') streams.claimed(position, item.s, item.c);
        else if (item.k === 'r') streams.released(item.s, item.c, item.d);
        else streams.ended(item.s);
      }
    }
    if (streams) this.recent.push(entries);
    this.#cursor = part.last;
    this.#token = part.token;
    this.#heardOf = Math.max(this.#heardOf, part.last);
  }

  // --- beating and proving -----------------------------------------------------------------------------------------

  /** One heartbeat; calls while one runs share it. Resolves with whether the backend answered. */
  #beat(): Promise<boolean> {
    this.#beating ??= this.#beatOnce().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #beatOnce(): Promise<boolean> {
    if (this.#state !== 'open' || this.#adoption) return false;
    // After a freeze a timer may run before any data: a fresh beat must not hide that the old one was too old.
    if (!this.#fenced && elapsedMs(this.#lastBeat) > this.#fenceAfterMs) this.#fence();
    const started = now();
    const check = this.#cursor;
    const token = this.#token;
    const generation = this.#generation;
    let answer: BeatAnswer;
    try {
      answer = await this.#backplane.beat({ node: this.id, cursor: this.#writtenCursor(), check });
    } catch (error) {
      this.#failedBeats += 1;
      this.#housekeeping.interrupted();
      this.report(error);
      return false;
    }
    if (generation !== this.#generation || this.#adoption) return true;
    this.#lastBeat = started;
    this.#trimmed = Math.max(this.#trimmed, answer.trimmed);
    await this.#prove(answer, check, token);
    if (!this.#fenced && !this.#adoption) this.#housekeeping.beaten();
    return true;
  }

  /** Compares what the backend says with what this node knows. */
  async #prove(answer: BeatAnswer, check: number, token: string | undefined): Promise<void> {
    if (answer.epoch !== this.#epoch) {
      await this.#discontinue('discontinuity', 'the log was started anew');
    } else if (answer.registered) {
      await this.#discontinue(
        'evicted',
        'this process was silent for longer than "resumeWindowMs"; its sessions were given away',
      );
    } else if (answer.head < check) {
      await this.#renew('the log ends before what this process has read');
    } else if (this.keepsLog && token !== undefined && answer.token !== token && answer.trimmed < check) {
      await this.#renew('the log was rolled back and has grown again');
    } else {
      this.#heardOf = Math.max(this.#heardOf, answer.head);
      if (this.#behind()) this.#readOn();
    }
  }

  /** The lowest of what this node has read, what its streams still replay, and what a claim in flight may need. */
  #writtenCursor(): number {
    return Math.min(
      this.#cursor,
      this.#streams?.lowestPosition() ?? Number.POSITIVE_INFINITY,
      this.#outbox.claimHold ?? Number.POSITIVE_INFINITY,
    );
  }

  /** Looks at the log now, and waits until its current epoch is adopted. */
  async #checkAndAdopt(): Promise<void> {
    await this.#adoption;
    await this.#beating;
    await this.#beat();
    await this.#adoption;
  }

  /** The log lost something: everybody has to learn it, so it gets a new epoch. */
  async #renew(reason: string): Promise<void> {
    try {
      await this.#backplane.renewEpoch(this.#epoch);
    } catch (error) {
      this.report(error);
      return; // the next beat comes to the same conclusion
    }
    await this.#discontinue('discontinuity', reason);
  }

  /** Ends the streams, tells it, and takes the log as it is now. */
  #discontinue(code: SessionErrorCode, reason: string, claimsRemain = false): Promise<void> {
    this.#adoption ??= this.#adoptAnew(code, reason, claimsRemain).finally(() => {
      this.#adoption = undefined;
      this.#readOn();
    });
    return this.#adoption;
  }

  async #adoptAnew(code: SessionErrorCode, reason: string, claimsRemain: boolean): Promise<void> {
    this.#discontinuities += 1;
    this.report(new SessionError(code, `${reason}; the streams of this process were ended, their clients reconnect`));
    this.recent.clear();
    this.#dropPending();
    this.#streams?.discontinued(claimsRemain);
    const epoch = this.#epoch;
    for (let attempt = 0; this.#state === 'open' || this.#state === 'closing'; attempt += 1) {
      const started = now();
      try {
        const answer = await this.#backplane.beat({ node: this.id, cursor: undefined, check: undefined });
        if (answer.epoch !== epoch || code === 'evicted') this.#outbox.renewProducer();
        this.#adopt(answer, started);
        break;
      } catch (error) {
        this.report(error);
        await sleep(backOffMs(attempt, 50, 5_000));
      }
    }
    this.#notifications?.discontinued();
  }

  #adopt(answer: BeatAnswer, started: Moment): void {
    this.#generation += 1;
    this.#epoch = answer.epoch;
    this.#cursor = answer.head;
    this.#heardOf = answer.head;
    this.#token = answer.token;
    this.#trimmed = answer.trimmed;
    this.#lastBeat = started;
    this.#fenced = false;
    this.#emptyReads = 0;
  }

  // --- fencing -----------------------------------------------------------------------------------------------------

  #fence(): void {
    this.#fenced = true;
    this.#housekeeping.interrupted();
    void this.#recover();
  }

  /** After a good beat, looks which sessions were claimed elsewhere, ends their streams, and only then reads on. */
  async #recover(): Promise<void> {
    for (let attempt = 0; this.#fenced && (this.#state === 'open' || this.#state === 'opening'); attempt += 1) {
      try {
        // A beat that was sent before the freeze ended proves nothing: wait it out.
        await this.#beating;
        if (await this.#beat()) {
          await this.#adoption;
          if (!this.#fenced) return;
          const moved = await this.#scanClaims(this.#heardOf);
          if (elapsedMs(this.#lastBeat) <= this.#fenceAfterMs && !this.#adoption) {
            this.#streams?.moved(moved);
            this.#fenced = false;
            break;
          }
        }
      } catch (error) {
        this.report(error);
      }
      await sleep(backOffMs(attempt, 50, 1_000));
    }
    this.#readOn();
  }

  /** Sessions that were claimed or ended between the cursor and a position. */
  async #scanClaims(upTo: number): Promise<Set<string>> {
    const moved = new Set<string>();
    for (let position = this.#cursor; position < upTo; ) {
      const page = await this.#backplane.read(position);
      if (page.parts.length === 0 || page.epoch !== this.#epoch) break; // reading on will find out why
      for (const part of page.parts) {
        for (const item of decodePart(part).items) if (!isPayload(item) && item.k !== 'r') moved.add(item.s);
        position = part.last;
      }
    }
    return moved;
  }
}

export function closedError(): SessionError {
  return new SessionError('closed', 'this session manager was closed');
}

/** Rejects when a promise takes too long. The promise itself goes on; what it becomes is of no interest then. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, error: () => SessionError): Promise<T> {
  let timer: Timer | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = after(ms, () => reject(error()));
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
