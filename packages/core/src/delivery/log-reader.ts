import { SessionError, type SessionErrorCode } from '../errors.ts';
import type { Backplane, BeatAnswer, LogPage, Part } from './backplane.ts';
import { backOffMs, sleep } from './clock.ts';
import { decodePart, type Entries, isPayload, type PayloadItem, SUBSCRIPTIONS } from './entries.ts';
import { RecentParts } from './recent-parts.ts';

/** What a node tells the holder of its streams, in the order of the log. No method throws. */
export type StreamConsumer = {
  /** The payload is cut out of `data` only where it is due; `item` has its length. */
  frame(position: number, item: PayloadItem, data: string, offset: number): void;
  claimed(position: number, session: string, claim: string): void;
  released(session: string, claim: string, detach: number, sent: number): void;
  ended(position: number, session: string): void;
  /** These sessions were claimed or ended while this node was not allowed to deliver. */
  moved(sessions: ReadonlySet<string>): void;
  /** Continuity is lost: every stream whose claim was answered ends. */
  discontinued(): void;
  /** Everything up to this position has been handed to every stream held here. */
  lowestPosition(): number;
};

/** What a node tells its subscription manager, in the order of the log. No method throws. */
export type NotificationConsumer = {
  notification(item: PayloadItem, data: string, offset: number): void;
  discontinued(): void;
};

export type LogReaderHost = {
  streams(): StreamConsumer | undefined;
  notifications(): NotificationConsumer | undefined;
  /** Whether frames may be handed out now; asked before each part. */
  mayDeliver(): boolean;
  isReading(): boolean;
  /** Asks the backend where the log stands. Resolves with whether it answered. */
  beat(): Promise<boolean>;
  /** Resolves when the current epoch of the log has been adopted. */
  adoptEpoch(): Promise<void>;
  discontinue(code: SessionErrorCode, reason: string): Promise<void>;
  report(error: unknown): void;
};

/** Recently read parts that are kept, in UTF-16 units. */
const RECENT_LENGTH = 2 * 1024 * 1024;
/** What arrives while the log is being read waits up to this length; beyond it, it is read again. */
const MAX_PENDING_LENGTH = 4 * 1024 * 1024;

/**
 * The cursor of a node: acts on every operation of the log once, in order.
 *
 * Parts that are pushed are a short cut. One that continues at the cursor is acted on; one that lies below is dropped;
 * one that lies beyond makes it read the log first, and nothing is handed on across a hole.
 */
export class LogReader {
  readonly recent: RecentParts = new RecentParts(RECENT_LENGTH);
  readonly #backplane: Backplane;
  readonly #host: LogReaderHost;

  #epoch = '';
  #cursor = 0;
  #token: string | undefined;
  #trimmed = 0;
  /** The furthest position known to exist. */
  #heardOf = 0;
  /** Where this node took the log as it was: nothing up to there was acted on. */
  #adoptedAt = 0;
  /** Each says that something may lie beyond what is known. */
  #wakes = 0;
  /** Those that came before the last read that found nothing. */
  #wakesServed = 0;
  #catchingUp = false;
  #emptyReads = 0;
  #pending: Part[] = [];
  #pendingLength = 0;
  #duplicates = 0;

  constructor(backplane: Backplane, host: LogReaderHost) {
    this.#backplane = backplane;
    this.#host = host;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** Every operation up to this position was acted on. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Token of the part at the cursor; `undefined` while that is not known. */
  get token(): string | undefined {
    return this.#token;
  }

  /** Everything up to this position may have been trimmed. */
  get trimmed(): number {
    return this.#trimmed;
  }

  /** Operations up to this position were never acted on here: the node took the log as it was. */
  get adoptedAt(): number {
    return this.#adoptedAt;
  }

  get heardOf(): number {
    return this.#heardOf;
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  get #keepsLog(): boolean {
    return this.#backplane.limits.keepsLog;
  }

  /** Takes the log as it is, from its head. */
  adopt(answer: BeatAnswer): void {
    this.#epoch = answer.epoch;
    this.#cursor = answer.head;
    this.#adoptedAt = answer.head;
    this.#heardOf = answer.head;
    this.#wakes += 1; // what was appended after this answer may have been announced before it came
    this.#token = answer.token;
    this.#trimmed = answer.trimmed;
    this.#emptyReads = 0;
    this.recent.clear();
    this.#dropPending();
  }

  /** The log reaches at least this far. Without a position: it may reach further than is known. */
  heard(head: number | undefined): void {
    if (head === undefined) this.#wakes += 1;
    else this.#heardOf = Math.max(this.#heardOf, head);
    this.readOn();
  }

  trimmedTo(position: number): void {
    this.#trimmed = Math.max(this.#trimmed, position);
  }

  /** Parts that were pushed; may repeat, and may have holes. */
  arrived(parts: readonly Part[]): void {
    for (const part of parts) {
      if (part.epoch !== this.#epoch) {
        // Of a log that this node has left, or does not know yet: the heartbeat tells which.
        void this.#host.beat();
        return;
      }
      if (part.last <= this.#cursor) {
        this.#duplicates += 1;
        continue;
      }
      this.#heardOf = Math.max(this.#heardOf, part.last);
      if (!this.#host.mayDeliver()) continue;
      if ((!this.#catchingUp || this.#keepsLog) && this.#continues(part)) {
        // While the log is read as well: that may take as long as the backend answers nothing else.
        this.#apply(part);
        if (this.#pending.length > 0) this.#applyPending();
      } else {
        this.#hold(part);
        this.readOn();
      }
    }
  }

  /** Reads the log if something is known to lie beyond the cursor. */
  readOn(): void {
    if (!this.#catchingUp && this.#behind()) void this.#catchUp();
  }

  /** Sessions that were claimed or ended between the cursor and a position. */
  async claimedUpTo(upTo: number): Promise<Set<string>> {
    const sessions = new Set<string>();
    for (let position = this.#cursor; position < upTo; ) {
      const page = await this.#backplane.read(position);
      if (page.parts.length === 0 || page.epoch !== this.#epoch) break; // reading on will find out why
      for (const part of page.parts) {
        for (const item of decodePart(part).items) if (!isPayload(item) && item.k !== 'r') sessions.add(item.s);
        position = part.last;
      }
    }
    return sessions;
  }

  #behind(): boolean {
    return this.#wakes > this.#wakesServed || this.#heardOf > this.#cursor;
  }

  /** Without a log nothing can fill a hole: what arrives is what there is. */
  #continues(part: Part): boolean {
    return part.last - part.count === this.#cursor || !this.#keepsLog;
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

  /** One at a time; never rejects. */
  async #catchUp(): Promise<void> {
    this.#catchingUp = true;
    let [failures, epochs] = [0, 0];
    while (this.#behind() && this.#host.mayDeliver() && this.#host.isReading()) {
      const wakes = this.#wakes;
      let page: LogPage;
      try {
        page = await this.#backplane.read(this.#cursor);
        failures = 0;
      } catch (error) {
        this.#host.report(error);
        await sleep(backOffMs(failures++, 50, 5_000));
        continue;
      }
      if (!this.#host.mayDeliver()) break;
      if (page.epoch !== this.#epoch) {
        const { epoch } = this;
        await this.#host.adoptEpoch();
        // On at once in a new epoch; but a log that vanishes at every look is not to be asked all the time.
        if (epochs > 0 || epoch === this.#epoch) await sleep(backOffMs(epochs, 50, 5_000));
        epochs += 1;
        continue;
      }
      epochs = 0;
      this.trimmedTo(page.trimmed);
      if (page.parts.length === 0) this.#wakesServed = wakes;
      if (!this.#applyPage(page)) await this.#examineEmptiness();
    }
    this.#catchingUp = false;
    this.#dropPending();
  }

  /** @returns false when the page brought nothing although something is known to be there */
  #applyPage(page: LogPage): boolean {
    for (const part of page.parts) {
      if (part.last <= this.#cursor) continue;
      if (!this.#continues(part)) {
        const reason = 'the log was trimmed before this process had read it';
        void this.#host.discontinue('discontinuity', reason);
        return true;
      }
      if (!this.#host.mayDeliver()) return true;
      this.#apply(part);
    }
    this.#applyPending();
    if (page.parts.length > 0) {
      this.#emptyReads = 0;
      return true;
    }
    return this.#heardOf <= this.#cursor;
  }

  #applyPending(): void {
    const pending = this.#pending;
    this.#dropPending();
    for (const part of pending) {
      if (part.last <= this.#cursor || part.epoch !== this.#epoch) continue;
      if (this.#continues(part) && this.#host.mayDeliver()) this.#apply(part);
      else this.#hold(part);
    }
  }

  /** A position was announced that the log does not hold: rolled back, wiped, or trimmed to the end. */
  async #examineEmptiness(): Promise<void> {
    if (!this.#keepsLog) {
      this.#cursor = this.#heardOf;
      return;
    }
    this.#emptyReads += 1;
    if (this.#emptyReads > 2) {
      this.#emptyReads = 0;
      await this.#host.discontinue('discontinuity', 'the log lacks entries that it has announced');
      return;
    }
    this.#heardOf = this.#cursor;
    if (!(await this.#host.beat())) await sleep(100);
    else if (!this.#behind()) this.#emptyReads = 0;
  }

  /** Acts on one part and moves the cursor behind it. */
  #apply(part: Part): void {
    const streams = this.#host.streams();
    try {
      this.#act(decodePart(part), streams, this.#host.notifications());
      if (streams) this.recent.push(part);
    } catch (cause) {
      // Every process reads it: what throws here would end them all, and again whenever they start.
      this.#host.report(
        new SessionError('discontinuity', 'an entry of the log cannot be read; it was skipped', { cause }),
      );
    }
    this.#cursor = part.last;
    this.#token = part.token;
    this.#heardOf = Math.max(this.#heardOf, part.last);
  }

  /** The hot path: every operation of the namespace comes by here, most of them of no concern to this node. */
  #act(
    { base, items, data }: Entries,
    streams: StreamConsumer | undefined,
    notifications: NotificationConsumer | undefined,
  ): void {
    let position = base;
    let offset = 0;
    for (const item of items) {
      position += 1;
      if (isPayload(item)) {
        if (item[0] === SUBSCRIPTIONS) notifications?.notification(item, data, offset);
        else streams?.frame(position, item, data, offset);
        offset += item[1];
      } else if (streams) {
        if (item.k === 'c') streams.claimed(position, item.s, item.c);
        else if (item.k === 'r') streams.released(item.s, item.c, item.d, item.p);
        // A kind that a later version may write means nothing here.
        else if (item.k === 'e') streams.ended(position, item.s);
      }
    }
  }
}
