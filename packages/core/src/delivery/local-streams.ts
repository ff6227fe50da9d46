import { SessionError } from '../errors.ts';
import { after, elapsedMs, every, type Moment, now, sleep, type Timer } from './clock.ts';
import { decodePart, type Entries, EVERYONE, isAddressedTo, isPayload, type PayloadItem } from './entries.ts';
import { formatEventId } from './event-id.ts';
import { LocalStream, type StreamEnd } from './local-stream.ts';
import { type DeliveryNode, type StreamConsumer, withDeadline } from './node.ts';
import type { Appended, OutgoingControl } from './outbox.ts';
import { Predecessors, SECOND_LOOK_MS } from './predecessors.ts';
import { decideStart, earliestStart, startAfterDeath } from './start.ts';
import { encodeText, randomId } from './text.ts';

export type StreamStats = {
  /** Streams held by this process. */
  readonly attached: number;
  /** Frames handed to streams. */
  readonly delivered: number;
  /** Of these, frames that were read from the log for a stream that resumed or was behind. */
  readonly replayed: number;
  /** Streams that could not continue where their client left off. */
  readonly notResumed: number;
  /** Streams that were ended because their client did not read. */
  readonly slowReaders: number;
  /** Streams that a newer claim of their session ended. */
  readonly superseded: number;
};

/** What a client of the session era is told when it may have missed something: list again. */
const HINTS: readonly string[] = ['tools', 'prompts', 'resources'].map(
  (list) => `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/${list}/list_changed"}\n\n`,
);

/** How long a paused replay, or one that found its node fenced, waits before it looks again. */
const PAUSE_MS = 25;
/** How long a fetched payload is kept for its other receivers. */
const SHARE_MS = 1_000;

/**
 * The streams that this node holds: opens them behind their claim, hands them what the node reads, and ends them.
 *
 * Everything that changes who holds a session is decided where the log is read, never where it is called. A stream
 * begins in three steps, in any order: its claim was answered (it knows where to start), its claim was read (older
 * entries belong to others), and the transport's first frame is out. Then it replays up to the node's cursor and
 * turns live in the same tick.
 */
export class LocalStreams implements StreamConsumer {
  readonly #node: DeliveryNode;
  /** The newest stream of each session; older ones hang on it until they have ended. */
  readonly #newest = new Map<string, LocalStream>();
  readonly #beginning = new Set<LocalStream>();
  readonly #unsettled: LocalStream[] = [];
  readonly #releasing = new Map<string, Promise<unknown>>();
  readonly #fetched = new Map<string, Promise<Uint8Array | undefined>>();
  readonly #predecessors: Predecessors<LocalStream>;
  #keepAliveTimer: Timer | undefined;
  #attached = 0;
  #delivered = 0;
  #replayed = 0;
  #notResumed = 0;
  #slowReaders = 0;
  #superseded = 0;

  constructor(node: DeliveryNode) {
    this.#node = node;
    this.#predecessors = new Predecessors(
      (predecessor) => node.backplane.inspect(predecessor),
      (waiting, cursor) => this.#predecessorDied(waiting, cursor),
      (error) => node.report(error),
      node.settings.resumeWindowMs + node.settings.sessionTimeoutMs,
    );
  }

  // --- what the manager asks ---------------------------------------------------------------------------------------

  /** Resolves when the stream's claim is in the log. */
  async open(session: string, controller: ReadableStreamDefaultController, lastEventId?: string): Promise<void> {
    const stream = new LocalStream(session, randomId(), controller, lastEventId);
    stream.older = this.#newest.get(session);
    this.#newest.set(session, stream);
    this.#beginning.add(stream);
    this.#attached += 1;
    this.#startKeepAlive();
    const claim: OutgoingControl = { k: 'c', s: session, c: stream.claim, n: this.#node.id };
    const claimed = this.#node.control(claim);
    claimed.then(
      (appended) => this.#claimAnswered(stream, appended),
      () => this.#forget(stream),
    );
    try {
      await withDeadline(
        Promise.all([this.#node.ready(), claimed]),
        this.#node.settings.sendTimeoutMs,
        () => new SessionError('timeout', 'the stream could not be registered within "sendTimeoutMs"'),
      );
    } catch (error) {
      // No delete follows a failed create. What is on its way already has to be given back when it arrives.
      if (!this.#node.withdraw(claim) && stream.beginning) stream.beginning.passedOver = true;
      throw error;
    }
  }

  /** Whether this node holds a stream of the session that somebody may be reading. */
  holds(session: string): boolean {
    for (const stream of this.#streamsOf(session)) if (!stream.beginning?.passedOver) return true;
    return false;
  }

  /** Resolves when no release of this session is on its way from here. */
  async releasesStored(session: string): Promise<void> {
    await this.#releasing.get(session);
  }

  /**
   * Gives up those streams of a session that are dead.
   *
   * @returns false when none is, so that the caller meant the session
   */
  async giveUpDead(session: string): Promise<boolean> {
    const dead = this.#streamsOf(session).filter((stream) => stream.isDead());
    for (const stream of dead) this.#gone(stream);
    if (dead.length > 0) await this.#releasing.get(session);
    return dead.length > 0;
  }

  stats(): StreamStats {
    return {
      attached: this.#attached,
      delivered: this.#delivered,
      replayed: this.#replayed,
      notResumed: this.#notResumed,
      slowReaders: this.#slowReaders,
      superseded: this.#superseded,
    };
  }

  /** Ends every stream and gives its session back. */
  async close(): Promise<void> {
    // A stream that still learns where it starts gives back an exact position a moment later.
    for (let waited = 0; this.#beginning.size > 0 && waited < 40; waited += 1) await sleep(PAUSE_MS);
    clearInterval(this.#keepAliveTimer);
    this.#predecessors.stop();
    for (const stream of this.#all()) {
      if (stream.beginning && !stream.beginning.answer) {
        // Whether it was claimed is not known: who claims next finds this node gone and starts where this one would.
        stream.finish(0);
        this.#forget(stream);
      } else {
        this.#end(stream, this.#reached(stream));
      }
    }
    await Promise.all(this.#releasing.values());
  }

  // --- what the node reads -----------------------------------------------------------------------------------------

  frame(position: number, item: PayloadItem, data: string, offset: number): void {
    const to = item[0];
    if (typeof to === 'string') {
      const newest = this.#newest.get(to);
      if (newest) this.#handToLive(newest, position, item, data, offset, undefined);
      return;
    }
    // Whoever gets it gets the same bytes: a broadcast is encoded once.
    let chunk: Uint8Array | undefined;
    if (to === EVERYONE) {
      for (const newest of this.#newest.values()) {
        chunk = this.#handToLive(newest, position, item, data, offset, chunk);
      }
    } else if (typeof to === 'object') {
      for (const session of to) {
        const newest = this.#newest.get(session);
        if (newest) chunk = this.#handToLive(newest, position, item, data, offset, chunk);
      }
    }
  }

  claimed(position: number, session: string, claim: string): void {
    for (const stream of this.#streamsOf(session)) {
      if (stream.claim === claim) {
        stream.claimRead = true;
        this.#beginSoon(stream);
      } else if (stream.claimRead) {
        this.#supersede(stream, position);
      }
    }
  }

  released(session: string, claim: string, detach: number): void {
    for (const stream of this.#streamsOf(session)) {
      const { beginning } = stream;
      if (!beginning) continue;
      beginning.releases ??= new Map();
      beginning.releases.set(claim, detach);
      if (stream.state === 'waiting') this.#beginSoon(stream);
    }
  }

  ended(session: string): void {
    for (const stream of this.#streamsOf(session)) {
      if (!stream.claimRead) continue;
      stream.finish(stream.position);
      this.#forget(stream);
    }
  }

  moved(sessions: ReadonlySet<string>): void {
    for (const session of sessions) {
      for (const stream of this.#streamsOf(session)) {
        if (stream.claimRead) this.#supersede(stream, this.#node.cursor);
      }
    }
  }

  discontinued(claimsRemain: boolean): void {
    for (const stream of this.#all()) {
      if (stream.beginning && !stream.beginning.answer) {
        stream.claimRead = false; // its claim is answered in the log that follows
      } else if (claimsRemain) {
        this.#end(stream, this.#reached(stream));
      } else {
        stream.finish(this.#reached(stream));
        this.#forget(stream);
      }
    }
  }

  lowestPosition(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const { position, beginning } of this.#beginning) {
      if (!beginning || beginning.answer) lowest = Math.min(lowest, position);
    }
    return lowest;
  }

  // --- beginning ---------------------------------------------------------------------------------------------------

  #claimAnswered(stream: LocalStream, { epoch, position, claim }: Appended): void {
    const { beginning } = stream;
    if (!beginning || stream.state === 'ended') return;
    if (epoch !== this.#node.epoch || !claim) {
      // The log that it was claimed in has ended since.
      stream.finish(0);
      this.#forget(stream);
      return;
    }
    beginning.answer = claim;
    beginning.start = this.#node.keepsLog ? decideStart(claim, stream.lastEventId, epoch) : { kind: 'after', position };
    stream.startAfter(earliestStart(beginning.start, claim));
    if (this.#node.cursor >= position) stream.claimRead = true;
    this.#settleLater(stream);
  }

  /** In a later macrotask than the answer of `create`: what the transport writes first is written by then. */
  #settleLater(stream: LocalStream): void {
    this.#unsettled.push(stream);
    if (this.#unsettled.length > 1) return;
    setTimeout(() => {
      for (const settled of this.#unsettled.splice(0)) {
        if (settled.beginning) settled.beginning.settled = true;
        this.#begin(settled);
      }
    }, 0);
  }

  /** Not at once: the node is in the middle of a part, and its cursor not behind it yet. */
  #beginSoon(stream: LocalStream): void {
    queueMicrotask(() => this.#begin(stream));
  }

  /** Begins once everything is known that it takes; called whenever some of it has become known. */
  #begin(stream: LocalStream): void {
    const { beginning } = stream;
    if (!beginning?.answer || !beginning.start || !beginning.settled || !stream.claimRead) return;
    if (stream.state !== 'claiming' && stream.state !== 'waiting') return;
    const { answer, start } = beginning;
    if (start.kind === 'wait') {
      const { previous } = start;
      const detach = beginning.releases?.get(previous.claim);
      if (detach !== undefined) {
        this.#predecessors.remove(previous.node, stream);
        this.#beginAfter(stream, Math.max(detach, answer.floor));
      } else if (stream.state === 'claiming') {
        stream.state = 'waiting';
        this.#predecessors.add(previous.node, stream);
      }
    } else if (start.kind === 'lost') {
      this.#beginLost(stream);
    } else {
      this.#beginAfter(stream, start.position);
    }
  }

  /** Its release may be in the log and not read yet: only what is still silent then counts as dead. */
  async #predecessorDied(waiting: ReadonlySet<LocalStream>, cursor: number | undefined): Promise<void> {
    await this.#node.caughtUp();
    for (const stream of [...waiting]) {
      const { beginning } = stream;
      if (stream.state !== 'waiting' || beginning?.start?.kind !== 'wait' || !beginning.answer) continue;
      beginning.start = startAfterDeath(beginning.start.previous, cursor, beginning.answer.floor);
      this.#begin(stream);
    }
  }

  #beginAfter(stream: LocalStream, position: number): void {
    if (this.#node.keepsLog && position < this.#node.trimmed) {
      this.#beginLost(stream);
      return;
    }
    stream.startAfter(position);
    if (stream.beginning?.passedOver) {
      this.#end(stream, position);
      return;
    }
    stream.state = 'replaying';
    if (this.#node.keepsLog) void this.#replay(stream);
    else this.#goLive(stream);
  }

  /** Where it left off is not known any more: it goes live at its claim. */
  #beginLost(stream: LocalStream): void {
    const at = stream.beginning?.answer?.at ?? this.#node.cursor;
    stream.startAfter(at);
    if (stream.beginning?.passedOver) {
      this.#end(stream, at);
      return;
    }
    stream.state = 'replaying';
    this.#announceLost(stream, at, 'its last event id is unknown, foreign or expired');
    void this.#replay(stream);
  }

  /** Both client and operator are told that something may be missing. */
  #announceLost(stream: LocalStream, at: number, reason: string): void {
    this.#notResumed += 1;
    this.#node.report(
      new SessionError(
        'not-resumed',
        `a stream could not continue where its client left off (${reason}); it went live at the head of the log`,
      ),
    );
    if (!HINTS.every((hint) => stream.push(at, this.#encode(at, hint)))) this.#gone(stream);
  }

  #goLive(stream: LocalStream): void {
    stream.state = 'live';
    stream.beginning = undefined;
    this.#beginning.delete(stream);
  }

  /** A payload has to be fetched: this stream alone waits for it, and catches up from the log. */
  #fallBehind(stream: LocalStream, reached: number): void {
    stream.state = 'replaying';
    stream.position = reached;
    this.#beginning.add(stream);
    queueMicrotask(() => void this.#replay(stream));
  }

  // --- replaying ---------------------------------------------------------------------------------------------------

  /** Hands out what lies between the stream's position and the node's cursor, then turns live. Never rejects. */
  async #replay(stream: LocalStream): Promise<void> {
    let progress: { position: number; since: Moment } = { position: stream.position, since: now() };
    while (stream.state === 'replaying') {
      if (stream.position > progress.position) progress = { position: stream.position, since: now() };
      const node = this.#node;
      if (!node.mayDeliver()) {
        await sleep(PAUSE_MS);
      } else if (stream.unreadBytes() > node.settings.maxStreamBufferBytes) {
        // A replay that nobody reads must not hold back the written cursor, and with it the trimming, for ever.
        if (elapsedMs(progress.since) > node.settings.resumeWindowMs) this.#tooSlow(stream);
        else await sleep(PAUSE_MS);
      } else if (stream.position >= node.cursor) {
        this.#goLive(stream);
      } else {
        const recent = node.recent.after(stream.position);
        if (recent) await this.#handOut(stream, recent);
        else await this.#replayFromLog(stream);
      }
    }
  }

  async #replayFromLog(stream: LocalStream): Promise<void> {
    const upTo = this.#node.cursor;
    try {
      const page = await this.#node.search(stream.session, stream.position, upTo);
      if (stream.state !== 'replaying' || !this.#node.mayDeliver()) return;
      if (page.epoch !== this.#node.epoch) {
        await sleep(PAUSE_MS); // the node is about to find out, and ends this stream
      } else if (page.trimmed > stream.position) {
        this.#trimmedAway(stream);
      } else if ((await this.#handOut(stream, page.parts.map(decodePart))) && page.complete) {
        stream.position = Math.max(stream.position, upTo);
      }
    } catch (error) {
      this.#node.report(error);
      await sleep(SECOND_LOOK_MS);
    }
  }

  /** The log was trimmed past this stream's position. If nothing was replayed yet, it can still go live instead. */
  #trimmedAway(stream: LocalStream): void {
    const at = stream.beginning?.answer?.at;
    if (at !== undefined && stream.position < at) {
      this.#announceLost(stream, at, 'what it had to resume from was trimmed away');
      return;
    }
    this.#node.report(
      new SessionError('discontinuity', 'the log was trimmed past a stream that was replaying; it was ended'),
    );
    this.#end(stream, stream.position);
  }

  /** @returns whether everything was handed out; false when the stream ended or has to pause */
  async #handOut(stream: LocalStream, parts: readonly Entries[]): Promise<boolean> {
    for (const { base, last, items, data } of parts) {
      let position = base;
      let offset = 0;
      for (const item of items) {
        position += 1;
        if (!isPayload(item)) continue;
        const start = offset;
        offset += item[1];
        if (position <= stream.position || !isAddressedTo(item[0], stream.session)) continue;
        if (!(await this.#handOne(stream, position, item, data, start))) return false;
      }
      if (stream.state !== 'replaying') return false;
      stream.position = Math.max(stream.position, last);
    }
    return true;
  }

  async #handOne(
    stream: LocalStream,
    position: number,
    [, length, large]: PayloadItem,
    data: string,
    offset: number,
  ): Promise<boolean> {
    if (stream.unreadBytes() > this.#node.settings.maxStreamBufferBytes) {
      stream.position = position - 1;
      return false;
    }
    let chunk: Uint8Array | undefined;
    if (!large) {
      chunk = this.#encode(position, data.slice(offset, offset + length));
    } else {
      chunk = await this.#fetch(position, large[0]);
      if (stream.state !== 'replaying' || !this.#node.mayDeliver()) return false;
      if (chunk === undefined) {
        this.#node.report(
          new SessionError('discontinuity', 'a large message is no longer stored; its stream was ended'),
        );
        this.#end(stream, position - 1);
        return false;
      }
    }
    if (!stream.push(position, chunk)) {
      this.#gone(stream);
      return false;
    }
    this.#delivered += 1;
    this.#replayed += 1;
    return true;
  }

  /** A payload that is stored beside the log, as a chunk that all its receivers here share. */
  #fetch(position: number, id: string): Promise<Uint8Array | undefined> {
    const known = this.#fetched.get(id);
    if (known) return known;
    const chunk = this.#node.large(id).then((text) => (text === undefined ? undefined : this.#encode(position, text)));
    this.#fetched.set(id, chunk);
    // Receivers are not all equally far: it stays for those that come a moment later.
    const forget = (): void => void after(SHARE_MS, () => this.#fetched.delete(id));
    chunk.then(forget, () => this.#fetched.delete(id));
    return chunk;
  }

  // --- delivering and ending ---------------------------------------------------------------------------------------

  #encode(position: number, frame: string): Uint8Array {
    const { eventIds } = this.#node.settings;
    return encodeText(eventIds ? `id: ${formatEventId(this.#node.epoch, position)}\n${frame}` : frame);
  }

  /** @returns the chunk, so that the next receiver can share it */
  #handToLive(
    newest: LocalStream,
    position: number,
    [, length, large]: PayloadItem,
    data: string,
    offset: number,
    shared: Uint8Array | undefined,
  ): Uint8Array | undefined {
    let chunk = shared;
    let stream: LocalStream | undefined = newest;
    while (stream) {
      const { older }: LocalStream = stream;
      if (stream.state === 'live' && position > stream.position) {
        if (large) {
          this.#fallBehind(stream, position - 1);
        } else {
          chunk ??= this.#encode(position, data.slice(offset, offset + length));
          this.#deliver(stream, position, chunk);
        }
      }
      stream = older;
    }
    return chunk;
  }

  #deliver(stream: LocalStream, position: number, chunk: Uint8Array): void {
    if (stream.unreadBytes() > this.#node.settings.maxStreamBufferBytes) this.#tooSlow(stream, position - 1);
    else if (stream.push(position, chunk)) this.#delivered += 1;
    else this.#gone(stream, position - 1);
  }

  #tooSlow(stream: LocalStream, reached: number = stream.position): void {
    this.#slowReaders += 1;
    this.#node.report(
      new SessionError(
        'slow-reader',
        `a stream was ended because its client left more than "maxStreamBufferBytes" ` +
          `(${this.#node.settings.maxStreamBufferBytes}) unread; it can resume`,
      ),
    );
    this.#end(stream, reached);
  }

  #supersede(stream: LocalStream, position: number): void {
    if (stream.state === 'claiming' || stream.state === 'waiting') {
      if (stream.beginning) stream.beginning.passedOver = true;
      return;
    }
    this.#superseded += 1;
    this.#end(stream, stream.state === 'live' ? position : stream.position);
  }

  /** Ends a stream from this side and gives its session back. */
  #end(stream: LocalStream, reached: number): void {
    if (stream.state === 'ended') return;
    this.#release(stream, stream.finish(reached));
  }

  /** The client has gone: the same, but nothing is known of what its queue held. */
  #gone(stream: LocalStream, reached?: number): void {
    if (stream.state === 'ended') return;
    if (stream.state === 'claiming' || stream.state === 'waiting') {
      // Where it would have begun is where the next one begins: it gives that back once it knows.
      if (stream.beginning) stream.beginning.passedOver = true;
      return;
    }
    this.#release(stream, stream.abandon(reached ?? this.#reached(stream)));
  }

  /** Everything up to this position was handed over. */
  #reached(stream: LocalStream): number {
    return stream.state === 'live' ? this.#node.cursor : stream.position;
  }

  #release(stream: LocalStream, { detach, sent }: StreamEnd): void {
    const { session, claim } = stream;
    this.#forget(stream);
    const released = this.#node.control({ k: 'r', s: session, c: claim, d: detach, p: sent }).then(
      () => undefined,
      (error) => this.#node.report(error),
    );
    const all = Promise.all([this.#releasing.get(session), released]).then(() => {
      if (this.#releasing.get(session) === all) this.#releasing.delete(session);
    });
    this.#releasing.set(session, all);
  }

  #forget(stream: LocalStream): void {
    stream.state = 'ended';
    this.#beginning.delete(stream);
    const start = stream.beginning?.start;
    if (start?.kind === 'wait') this.#predecessors.remove(start.previous.node, stream);
    const newest = this.#newest.get(stream.session);
    if (newest === stream) {
      this.#attached -= 1;
      if (stream.older) this.#newest.set(stream.session, stream.older);
      else this.#newest.delete(stream.session);
      return;
    }
    for (let newer = newest; newer; newer = newer.older) {
      if (newer.older !== stream) continue;
      newer.older = stream.older;
      this.#attached -= 1;
      return;
    }
  }

  #streamsOf(session: string): LocalStream[] {
    const streams: LocalStream[] = [];
    for (let stream = this.#newest.get(session); stream; stream = stream.older) streams.push(stream);
    return streams;
  }

  *#all(): Generator<LocalStream> {
    for (const session of [...this.#newest.keys()]) yield* this.#streamsOf(session);
  }

  #startKeepAlive(): void {
    const { keepAliveMs } = this.#node.settings;
    if (this.#keepAliveTimer !== undefined || keepAliveMs === 0) return;
    // Looking three times in the interval, a stream idle for two thirds of it is due: none waits longer than that.
    this.#keepAliveTimer = every(Math.max(1, keepAliveMs / 3), () => {
      for (const stream of this.#all()) {
        if (stream.state !== 'ended' && !stream.keepAlive((keepAliveMs * 2) / 3)) this.#gone(stream);
      }
    });
  }
}
