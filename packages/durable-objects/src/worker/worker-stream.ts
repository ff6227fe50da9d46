import { encodeText, formatEventId, LocalStream, randomId, SessionError } from '@tmcp/session-manager';
import { type Begin, CLOSE, type Entry, PATHS, PROTOCOL, type ToWorker } from '../protocol.ts';
import { callShard, pause } from './calls.ts';
import type { DeliveryConfiguration } from './options.ts';
import { keepRunning } from './request.ts';
import { ShardSocket } from './shard-socket.ts';

/**
 * - `connecting`: its claim is on its way to the shard
 * - `waiting`: the session's previous stream has not yet said where it ended
 * - `replaying`: it pulls what lies between its start and the head
 * - `live`: it gets what the shard appends
 * - `draining`: its session was ended; it closes when its client has read what came before
 * - `ended`: nothing more is delivered
 */
export type WorkerStreamState = 'connecting' | 'waiting' | 'replaying' | 'live' | 'draining' | 'ended';

export type StreamCounters = {
  delivered: number;
  replayed: number;
  notResumed: number;
  slowReaders: number;
  superseded: number;
  discontinuities: number;
  reconnects: number;
};

export type WorkerStreamOptions = DeliveryConfiguration & {
  readonly counters: StreamCounters;
  readonly report: (error: SessionError) => void;
  /** The stream is over and holds nothing any more. */
  readonly onEnd: (stream: WorkerStream) => void;
};

/** After this a waiting stream asks its shard not to wait for its predecessor any longer. */
const PATIENCE_MS = 1_000;
const LOOK_MS = 20;
const DRAIN_MS = 1_000;
/** A client that has not read for so long, with more than its buffer waiting, is slow. */
const SLOW_MS = 300;
/** The hang rule of Workers wants something pending at all times; pings go out on this tick as well. */
const LONGEST_TICK_MS = 10_000;
const PROBE_PAUSE_MS = 50;
const PROBE_LOOK_MS = 200;

/** Ids of ours are shorter, and what is longer is foreign cut off as well; addresses have an end. */
const LONGEST_EVENT_ID = 64;

const PROBE = encodeText(': probe\n\n');
/** What a client is told when it may have missed something: list again. */
const HINTS: readonly string[] = ['tools', 'prompts', 'resources'].map(
  (list) => `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/${list}/list_changed"}\n\n`,
);

/**
 * One SSE response and its connection to the shard of its session.
 *
 * It lives in the request that opened it: its socket, timers and the controller are used by that request alone. It
 * keeps nothing but a position: what it was not sent, or was sent into a socket that broke, it pulls from the log.
 */
export class WorkerStream {
  readonly session: string;
  readonly claim: string = randomId();
  readonly #options: WorkerStreamOptions;
  readonly #controller: ReadableStreamDefaultController;
  readonly #local: LocalStream;
  readonly #lastEventId: string | undefined;
  readonly #socket: ShardSocket;
  #state: WorkerStreamState = 'connecting';
  #begin: Begin | undefined;
  /** The transport's own first frame is out. */
  #settled = false;
  /** What came before delivery had begun. */
  #early: ToWorker[] = [];
  #crowded = false;
  /** How many pages were waited for: after a reconnect another one is, and not the one before. */
  #pages = 0;
  #acked = 0;
  #acknowledges: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  /** Its claim is on its way, or was. */
  #connected: Promise<void> | undefined;

  constructor(
    session: string,
    controller: ReadableStreamDefaultController,
    lastEventId: string | undefined,
    options: WorkerStreamOptions,
  ) {
    this.session = session;
    this.#options = options;
    this.#controller = controller;
    this.#lastEventId = lastEventId;
    this.#local = new LocalStream(session, this.claim, controller, lastEventId);
    const { shards, delivery } = options;
    this.#socket = new ShardSocket({
      stub: () => shards.stub(shards.of(session)),
      address: (again) => this.#address(again),
      connectTimeoutMs: delivery.sendTimeoutMs,
      onMessage: (message) => this.#receive(message),
      report: options.report,
      onReconnect: () => this.#reconnected(),
    });
  }

  get state(): WorkerStreamState {
    return this.#state;
  }

  /** Claims the session. Resolves when the claim is in force. @throws SessionError */
  async connect(): Promise<void> {
    // It was given up before its turn came: what is never claimed needs no release.
    if (this.#state === 'ended') return;
    this.#connected = this.#socket.open();
    try {
      await this.#connected;
    } catch (error) {
      this.#over();
      throw error;
    }
    if (this.#state !== 'connecting') return;
    this.#state = 'waiting';
    this.#startTicking();
    // Behind the transport's own first frame, which follows the end of `create` without a pause.
    setTimeout(() => {
      this.#settled = true;
      this.#start();
    }, 0);
    this.#beImpatient();
  }

  /** Whether its client has gone. Only where the queue looks full an enqueue has to tell. */
  isDead(): boolean {
    const { desiredSize } = this.#controller;
    if (desiredSize === null) return true;
    return desiredSize === 0 && this.#local.isDead();
  }

  /** The client has gone: gives the session back, to be resumed. */
  async cancel(): Promise<void> {
    await this.#release(() => this.#local.abandon(this.#local.position).detach, false);
  }

  /** Ends the response, and gives the session back. */
  async end(): Promise<void> {
    await this.#release(() => this.#local.finish(this.#local.position).detach, this.#local.isUnread());
  }

  async #release(stop: () => number, isUnread: boolean): Promise<void> {
    if (this.#state === 'ended') return;
    const { state } = this;
    const detach = this.#detach(stop(), isUnread);
    this.#over();
    // Ended by DELETE, or never claimed: there is nothing to give back.
    if (state === 'draining' || !this.#connected) return;
    const { shards, delivery, report } = this.#options;
    const { session, claim } = this;
    const released = (async () => {
      if (state === 'connecting') await this.#connected;
      await callShard(delivery.sendTimeoutMs, () =>
        shards.stub(shards.of(session)).release({ session, claim, detach }),
      );
    })();
    const told = released.catch((error: unknown) => {
      // A claim that never came into force needs no release.
      if (state !== 'connecting') report(asError(error));
    });
    const closed = told.then(() => this.#socket.close());
    keepRunning(closed);
    await closed;
  }

  #detach(reached: number, isUnread: boolean): number | undefined {
    if (!this.#begin) return undefined;
    const { after, resumed } = this.#begin;
    const started = this.#state !== 'connecting' && this.#state !== 'waiting';
    // Hints that the client has not read are for the next stream.
    if (!resumed && reached <= after && (isUnread || !started)) return undefined;
    // A stream that had not started to write is where it was to begin.
    return Math.max(reached, after);
  }

  #receive(message: ToWorker): void {
    if (this.#state === 'ended' || this.#state === 'draining') return;
    const awaitsStart = this.#begin !== undefined && (this.#state === 'connecting' || this.#state === 'waiting');
    if (awaitsStart && ['page', 'live', 'ended'].includes(message.type)) {
      this.#early.push(message);
      return;
    }
    switch (message.type) {
      case 'begin':
        if (this.#state === 'replaying' && !message.resumed) {
          this.#begin = message;
          this.#state = 'waiting';
        }
        this.#begin ??= message;
        this.#start();
        break;
      case 'page':
        this.#push(message.entries, true);
        if (message.live) this.#state = this.#is('ended') ? 'ended' : 'live';
        else void this.#pullWhenRead();
        break;
      case 'live':
        this.#state = 'live';
        this.#push(message.entries, false);
        break;
      case 'superseded':
        this.#options.counters.superseded += 1;
        void this.end();
        break;
      case 'ended':
        void this.#drain();
        break;
      case 'gap':
        this.#options.counters.discontinuities += 1;
        this.#report('discontinuity', 'what a stream missed while its shard was away cannot be found; it was ended');
        void this.end();
        break;
      case 'probe':
        void this.#prove(message.probe);
        break;
    }
  }

  /** Delivery begins when the shard has said where, and the transport has written what comes first. */
  #start(): void {
    if (this.#state !== 'waiting' || !this.#begin || !this.#settled) return;
    this.#state = 'replaying';
    const { after, resumed } = this.#begin;
    this.#acked = after;
    this.#local.startAfter(after);
    if (!resumed) {
      this.#options.counters.notResumed += 1;
      this.#report('not-resumed', 'a stream could not continue where its client left off, and begins at the head');
      for (const hint of HINTS) this.#local.push(after, this.#frame(after, hint));
    }
    const early = this.#early.splice(0);
    if (early.length === 0) this.#pull();
    for (const message of early) this.#receive(message);
  }

  #beImpatient(): void {
    setTimeout(() => {
      if (this.#state === 'waiting' && !this.#begin) this.#socket.send({ type: 'impatient' });
    }, PATIENCE_MS);
  }

  #pull(): void {
    this.#socket.send({ type: 'pull', after: this.#local.position });
  }

  /** Replay goes at the pace of the reader, one page after the other. */
  async #pullWhenRead(): Promise<void> {
    this.#pages += 1;
    const page = this.#pages;
    const isNext = (): boolean => this.#state === 'replaying' && page === this.#pages;
    while (isNext() && this.#local.unreadBytes() > this.#options.delivery.maxStreamBufferBytes) {
      await pause(LOOK_MS);
    }
    if (isNext()) this.#pull();
  }

  #reconnected(): void {
    this.#options.counters.reconnects += 1;
    if (this.#state === 'live') this.#state = 'replaying';
    if (this.#state === 'replaying') void this.#pullWhenRead();
    // What it said on the socket that broke may not have arrived.
    if (this.#state === 'waiting' && !this.#begin) this.#beImpatient();
  }

  #push(entries: readonly Entry[], replayed: boolean): void {
    const { counters, delivery } = this.#options;
    for (const [seq, data] of entries) {
      if (seq !== 0 && seq <= this.#local.position) continue;
      if (!replayed && this.#local.unreadBytes() > delivery.maxStreamBufferBytes) void this.#judge();
      if (!this.#local.push(seq, this.#frame(seq, data))) {
        void this.cancel();
        return;
      }
      counters.delivered += 1;
      if (replayed) counters.replayed += 1;
    }
    this.#acknowledgeSoon();
  }

  #frame(seq: number, data: string): Uint8Array {
    const epoch = this.#begin?.epoch ?? '';
    return encodeText(
      seq === 0 || epoch === '' || !this.#options.delivery.eventIds
        ? data
        : `id: ${formatEventId(epoch, seq)}\n${data}`,
    );
  }

  /** What comes at once cannot be read at once: slow is who still has not after a while. */
  async #judge(): Promise<void> {
    if (this.#crowded) return;
    this.#crowded = true;
    const { maxStreamBufferBytes } = this.#options.delivery;
    for (let waited = 0; waited < SLOW_MS && this.#local.unreadBytes() > maxStreamBufferBytes; waited += LOOK_MS) {
      await pause(LOOK_MS);
    }
    this.#crowded = false;
    if (this.#state !== 'live' || this.#local.unreadBytes() <= maxStreamBufferBytes) return;
    this.#options.counters.slowReaders += 1;
    this.#report('slow-reader', 'a stream was ended because more than "maxStreamBufferBytes" waited for its client');
    await this.end();
  }

  /** The session is over. What came before is read first, for closing with unread chunks would call a late cancel. */
  async #drain(): Promise<void> {
    this.#state = 'draining';
    this.#socket.close(CLOSE.ended);
    for (let waited = 0; waited < DRAIN_MS && this.#is('draining') && this.#local.isUnread(); waited += LOOK_MS) {
      await pause(LOOK_MS);
    }
    if (this.#is('draining')) await this.end();
  }

  /** The first write after a client has gone still succeeds, the second one fails a moment later. */
  async #prove(probe: string): Promise<void> {
    if (!this.#settled) return;
    const alive = (): boolean => this.#state !== 'ended' && this.#local.push(this.#local.position, PROBE);
    if (!alive()) return;
    await pause(PROBE_PAUSE_MS);
    if (!alive()) return;
    await pause(PROBE_LOOK_MS);
    if (!this.isDead()) this.#socket.send({ type: 'alive', probe });
  }

  #startTicking(): void {
    const { keepAliveMs } = this.#options.delivery;
    const every = Math.min(keepAliveMs || LONGEST_TICK_MS, LONGEST_TICK_MS);
    this.#ticker = setInterval(() => this.#tick(), every);
  }

  #tick(): void {
    if (this.#state === 'ended') {
      this.#stopTicking();
      return;
    }
    const { keepAliveMs } = this.#options.delivery;
    this.#socket.tick();
    if (this.#settled && keepAliveMs > 0 && !this.#local.keepAlive(keepAliveMs)) void this.cancel();
  }

  /** At most one message per heartbeat, however much was handed over in it; none while nothing is. */
  #acknowledgeSoon(): void {
    this.#acknowledges ??= setTimeout(() => {
      this.#acknowledges = undefined;
      const { position } = this.#local;
      // While it replays, its pulls say so.
      if (this.#state !== 'live' || position <= this.#acked) return;
      this.#acked = position;
      this.#socket.send({ type: 'ack', position });
    }, this.#options.delivery.heartbeatMs);
  }

  #stopTicking(): void {
    clearInterval(this.#ticker);
    clearTimeout(this.#acknowledges);
  }

  #over(): void {
    this.#state = 'ended';
    this.#stopTicking();
    this.#options.onEnd(this);
  }

  /** Without this the compiler would remember a state that a call may have changed. */
  #is(state: WorkerStreamState): boolean {
    return this.#state === state;
  }

  #address(again: boolean): string {
    const query = new URLSearchParams({ p: String(PROTOCOL), session: this.session, claim: this.claim });
    query.set('settings', JSON.stringify(this.#options.shard));
    if (again) {
      query.set('mode', 'resume');
      if (this.#begin) {
        query.set('epoch', this.#begin.epoch);
        query.set('after', String(Math.max(this.#local.position, this.#begin.after)));
      }
    } else if (this.#lastEventId) query.set('last', this.#lastEventId.slice(0, LONGEST_EVENT_ID));
    return `${PATHS.stream}?${query}`;
  }

  #report(code: 'not-resumed' | 'discontinuity' | 'slow-reader', message: string): void {
    this.#options.report(new SessionError(code, message));
  }
}

function asError(error: unknown): SessionError {
  return SessionError.is(error)
    ? error
    : new SessionError('unavailable', 'a stream could not be given back', { cause: error });
}
