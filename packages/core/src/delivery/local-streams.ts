import { SessionError } from '../errors.ts';
import { LOST } from './backplane.ts';
import type { OutgoingControl } from './batch.ts';
import { every, pause, sleep, type Timer } from './clock.ts';
import { withDeadline } from './deadline.ts';
import type { PayloadItem } from './entries.ts';
import { LiveDelivery } from './live-delivery.ts';
import { LocalStream, type StreamEnd } from './local-stream.ts';
import type { StreamConsumer } from './log-reader.ts';
import type { DeliveryNode } from './node.ts';
import { Releases } from './releases.ts';
import { Replay } from './replay.ts';
import { SessionStreams } from './session-streams.ts';
import { StreamStarts } from './stream-starts.ts';
import { randomId } from './text.ts';

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

/** How often a stream whose session has ended is looked at. */
const DRAIN_LOOK_MS = 20;
/** How long is waited for a stream that was given up to learn where it would have begun. */
const RELEASE_PATIENCE_MS = 1_000;
/** How long a closing manager waits for streams to learn where they start. */
const CLOSING_PATIENCE_MS = 1_000;

/**
 * The streams that this node holds: opens them behind their claim, hands them what the node reads, and ends them.
 *
 * Everything that changes who holds a session is decided where the log is read, never where it is called: in the order
 * of the log every race has one outcome, and it is the same on every node.
 */
export class LocalStreams implements StreamConsumer {
  readonly #node: DeliveryNode;
  readonly #streams = new SessionStreams();
  /** Streams that are not live: what they still need holds back the written cursor. */
  readonly #behind = new Set<LocalStream>();
  readonly #starts: StreamStarts;
  readonly #replay: Replay;
  readonly #live: LiveDelivery;
  readonly #releases: Releases;
  #keepAliveTimer: Timer | undefined;
  #notResumed = 0;
  #slowReaders = 0;
  #superseded = 0;

  constructor(node: DeliveryNode) {
    this.#node = node;
    this.#starts = new StreamStarts(node, {
      beginAfter: (stream, position, sent) => this.#beginAfter(stream, position, sent),
      beginLost: (stream) => this.#beginLost(stream),
      claimLost: (stream) => this.#drop(stream),
      claimedTooLate: (stream) => {
        void this.#storeRelease(stream, { detach: stream.position, sent: stream.position });
      },
      claimSkipped: (stream) => this.#end(stream, stream.position),
    });
    this.#releases = new Releases(node);
    this.#live = new LiveDelivery(node, this.#streams, {
      fallBehind: (stream, reached) => this.#fallBehind(stream, reached),
      tooSlow: (stream) => this.#tooSlow(stream),
      gone: (stream, reached) => this.#gone(stream, reached),
    });
    this.#replay = new Replay(node, {
      encode: (position, frame) => this.#live.encode(position, frame),
      goLive: (stream) => this.#goLive(stream),
      drain: (stream) => void this.#drain(stream),
      tooSlow: (stream) => this.#tooSlow(stream),
      gone: (stream) => this.#gone(stream, stream.position),
      trimmedAway: (stream) => this.#trimmedAway(stream),
    });
  }

  // --- what the manager asks ---------------------------------------------------------------------------------------

  /** Resolves when the stream's claim is in the log. */
  async open(session: string, controller: ReadableStreamDefaultController, lastEventId?: string): Promise<void> {
    const stream = new LocalStream(session, randomId(), controller, lastEventId);
    this.#streams.add(stream);
    this.#behind.add(stream);
    this.#startKeepAlive();
    const claim: OutgoingControl = { k: 'c', s: session, c: stream.claim, n: this.#node.id };
    const claimed = this.#node.control(claim);
    claimed.then(
      (appended) => this.#starts.answered(stream, appended),
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
      if (!this.#node.withdraw(claim)) this.#starts.passOver(stream);
      throw error;
    }
  }

  /** Whether this node holds a stream of the session that somebody may be reading. */
  holds(session: string): boolean {
    return this.#streams.of(session).some(({ state, beginning }) => state !== 'draining' && !beginning?.passedOver);
  }

  /** Resolves when no release of this session is on its way from here. */
  async releasesStored(session: string): Promise<void> {
    const patience = performance.now() + RELEASE_PATIENCE_MS;
    const isPending = (): boolean => this.#streams.of(session).some(({ beginning }) => beginning?.passedOver);
    while (isPending() && performance.now() < patience) await sleep(5);
    await this.#releases.stored(session);
  }

  /**
   * Gives up those streams of a session that are dead.
   *
   * @returns when that is stored; `undefined` when none is dead, so that the caller meant the session
   */
  giveUpDead(session: string): Promise<void> | undefined {
    // One that was given up before is dead as well: a DELETE that comes then means the session.
    const streams = this.#streams.of(session).filter(({ beginning }) => !beginning?.passedOver);
    const dead = streams.filter((stream) => stream.isDead());
    for (const stream of dead) this.#gone(stream);
    return dead.length > 0 ? this.releasesStored(session) : undefined;
  }

  stats(): StreamStats {
    return {
      attached: this.#streams.size,
      delivered: this.#live.delivered + this.#replay.replayed,
      replayed: this.#replay.replayed,
      notResumed: this.#notResumed,
      slowReaders: this.#slowReaders,
      superseded: this.#superseded,
    };
  }

  /** Ends every stream and gives its session back. */
  async close(): Promise<void> {
    // A stream that still learns where it starts gives back an exact position a moment later.
    const patience = performance.now() + CLOSING_PATIENCE_MS;
    while (this.#behind.size > 0 && performance.now() < patience) await pause(20);
    clearInterval(this.#keepAliveTimer);
    this.#starts.stop();
    for (const stream of this.#streams.all()) {
      if (stream.beginning && !stream.beginning.answer) {
        // Whether it was claimed is not known: who claims next finds this node gone and starts where this one would.
        this.#drop(stream);
      } else {
        this.#end(stream, this.#reached(stream));
      }
    }
  }

  // --- what the node reads -----------------------------------------------------------------------------------------

  frame(position: number, item: PayloadItem, data: string, offset: number): void {
    this.#live.frame(position, item, data, offset);
  }

  claimed(position: number, session: string, claim: string): void {
    for (const stream of this.#streams.of(session)) {
      if (stream.claim === claim) this.#starts.claimRead(stream);
      else if (stream.claimRead) this.#supersede(stream, position);
    }
  }

  released(session: string, claim: string, detach: number, sent: number): void {
    for (const stream of this.#streams.of(session)) this.#starts.released(stream, claim, { detach, sent });
  }

  ended(position: number, session: string): void {
    for (const stream of this.#streams.of(session)) {
      if (!stream.claimRead || stream.state === 'draining') continue;
      if (stream.state === 'live') void this.#drain(stream);
      else stream.endsAt ??= position;
    }
  }

  moved(sessions: ReadonlySet<string>): void {
    for (const session of sessions) {
      for (const stream of this.#streams.of(session)) {
        if (stream.claimRead) this.#supersede(stream, this.#node.cursor);
      }
    }
  }

  discontinued(): void {
    for (const stream of this.#streams.all()) {
      if (stream.beginning && !stream.beginning.answer) {
        stream.claimRead = false; // its claim is answered in the log that follows
      } else if (stream.state !== 'draining') {
        void this.#lose(stream);
      }
    }
  }

  lowestPosition(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const { position, beginning } of this.#behind) {
      if (!beginning || beginning.answer) lowest = Math.min(lowest, position);
    }
    return lowest;
  }

  // --- beginning ---------------------------------------------------------------------------------------------------

  #beginAfter(stream: LocalStream, position: number, sent: number | undefined): void {
    if (this.#node.keepsLog && position < this.#node.trimmed) {
      this.#beginLost(stream);
      return;
    }
    const isUntold = sent === LOST;
    stream.startAfter(position, isUntold ? undefined : sent);
    if (stream.beginning?.passedOver) {
      this.#end(stream, position, isUntold);
      return;
    }
    stream.state = 'replaying';
    if (isUntold) this.#announceLost(stream, position, 'the stream before ended before it could say so');
    if (this.#node.keepsLog) void this.#replay.run(stream);
    else this.#goLive(stream);
  }

  /** Where it left off is not known any more: it goes live at its claim. */
  #beginLost(stream: LocalStream): void {
    const at = stream.beginning?.answer?.at ?? this.#node.cursor;
    stream.startAfter(at);
    if (stream.beginning?.passedOver) {
      this.#end(stream, at, true);
      return;
    }
    stream.state = 'replaying';
    this.#announceLost(stream, at, 'its last event id is unknown, foreign or expired');
    void this.#replay.run(stream);
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
    if (!HINTS.every((hint) => stream.push(at, this.#live.encode(at, hint), true))) this.#gone(stream);
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

  #goLive(stream: LocalStream): void {
    stream.state = 'live';
    stream.beginning = undefined;
    this.#behind.delete(stream);
  }

  /** A payload has to be fetched: this stream alone waits for it, and catches up from the log. */
  #fallBehind(stream: LocalStream, reached: number): void {
    stream.state = 'replaying';
    stream.position = reached;
    this.#behind.add(stream);
    queueMicrotask(() => void this.#replay.run(stream));
  }

  // --- ending ------------------------------------------------------------------------------------------------------

  #tooSlow(stream: LocalStream): void {
    this.#slowReaders += 1;
    this.#node.report(
      new SessionError(
        'slow-reader',
        `a stream was ended because its client left more than "maxStreamBufferBytes" ` +
          `(${this.#node.settings.maxStreamBufferBytes}) unread; it can resume`,
      ),
    );
    this.#end(stream, this.#reached(stream));
  }

  #supersede(stream: LocalStream, position: number): void {
    if (stream.state === 'draining' || stream.endsAt !== undefined) return; // of a life of the session that is over
    if (stream.state === 'claiming' || stream.state === 'waiting') {
      this.#starts.passOver(stream);
      return;
    }
    this.#superseded += 1;
    this.#end(stream, stream.state === 'live' ? position : stream.position);
  }

  /**
   * Ends a stream from this side and gives its session back.
   *
   * @param isUntold its client would have had to be told that something may be missing
   */
  #end(stream: LocalStream, reached: number, isUntold = false): void {
    if (stream.state === 'ended') return;
    if (stream.state === 'draining') {
      this.#drop(stream);
      return;
    }
    const end = stream.finish(reached);
    this.#release(stream, isUntold ? { ...end, sent: LOST } : end);
  }

  /** The client has gone: the same, but nothing is known of what its queue held. */
  #gone(stream: LocalStream, reached?: number): void {
    if (stream.state === 'ended') return;
    if (stream.state === 'draining') {
      this.#drop(stream);
      return;
    }
    if (stream.state === 'claiming' || stream.state === 'waiting') {
      // Where it would have begun is where the next one begins: it gives that back once it knows.
      this.#starts.passOver(stream);
      return;
    }
    this.#release(stream, stream.abandon(reached ?? this.#reached(stream)));
  }

  /** Everything up to this position was handed over. */
  #reached(stream: LocalStream): number {
    return stream.state === 'live' ? this.#node.cursor : stream.position;
  }

  #release(stream: LocalStream, end: StreamEnd): void {
    this.#forget(stream);
    void this.#storeRelease(stream, end);
  }

  #storeRelease({ session, claim }: LocalStream, end: StreamEnd): Promise<void> {
    return this.#releases.store(session, claim, end);
  }

  /**
   * Continuity is lost. That is stored before the client can reconnect, so that whoever serves it then says so; but a
   * stream that delivers nothing does not stay open for ever, where nothing can be stored.
   */
  async #lose(stream: LocalStream): Promise<void> {
    this.#stopDelivering(stream);
    const stored = this.#storeRelease(stream, { detach: LOST, sent: LOST });
    const late = (): SessionError => new SessionError('timeout', 'the end of a stream could not be stored');
    // That continuity is lost was reported for all streams at once.
    await withDeadline(stored, this.#node.settings.sendTimeoutMs, late).catch(() => undefined);
    if (stream.state === 'draining') this.#drop(stream);
  }

  /** Its session has ended: the client reads what came before, then the body ends. */
  async #drain(stream: LocalStream): Promise<void> {
    this.#stopDelivering(stream);
    const patience = performance.now() + this.#node.settings.sendTimeoutMs;
    while (stream.state === 'draining' && stream.isUnread() && performance.now() < patience) await sleep(DRAIN_LOOK_MS);
    if (stream.state === 'draining') this.#drop(stream);
  }

  #stopDelivering(stream: LocalStream): void {
    this.#starts.forget(stream);
    this.#behind.delete(stream);
    stream.beginning = undefined;
    stream.state = 'draining';
  }

  /** Ends a stream whose claim is gone already: there is nothing to give back. */
  #drop(stream: LocalStream): void {
    stream.finish(stream.position);
    this.#forget(stream);
  }

  #forget(stream: LocalStream): void {
    stream.state = 'ended';
    this.#behind.delete(stream);
    this.#starts.forget(stream);
    this.#streams.remove(stream);
  }

  #startKeepAlive(): void {
    const { keepAliveMs } = this.#node.settings;
    if (this.#keepAliveTimer !== undefined || keepAliveMs === 0) return;
    // Looking three times in the interval, a stream idle for two thirds of it is due: none waits longer than that.
    this.#keepAliveTimer = every(Math.max(1, keepAliveMs / 3), () => {
      for (const stream of this.#streams.all()) {
        if (stream.state !== 'ended' && !stream.keepAlive((keepAliveMs * 2) / 3)) this.#gone(stream);
      }
    });
  }
}
