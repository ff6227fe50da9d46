import { DurableObject } from 'cloudflare:workers';
import type { InfoRow } from '@tmcp/session-manager';
import {
  CLOSE,
  type InfoShard,
  type InfoWrite,
  PATHS,
  PING,
  PONG,
  PROTOCOL,
  type Published,
  type Release,
  type Shard,
  type ShardBatch,
  type ShardSettings,
  type ToShard,
} from '../protocol.ts';
import { InfoTable } from './info-table.ts';
import { openStore } from './open-store.ts';
import type { ShardStore } from './shard-store.ts';
import { ShardStreams } from './shard-streams.ts';
import { Sockets } from './sockets.ts';
import { Waiting } from './waiting.ts';

/** How long a client has to show that it reads, and a Worker to come back after this object has started. */
const PROBE_MS = 1_000;
const RETURN_MS = 700;
const JUST_STARTED_MS = 5_000;
/** Before an object that nobody calls hibernates, and would have just started once more. */
const LOOK_AGAIN_MS = 8_000;
const MINUTE_MS = 60_000;

/**
 * One shard: the streams, claims and the short log of the sessions whose ids hash to it. Export this class from the
 * Worker that owns the binding.
 *
 * - Storage: SQLite. `log` holds each message once per shard, `log_to` who is named by it, `session` who holds a
 *   session and where it continues. A class that was deployed without SQL keeps streams going, and nothing else.
 * - Life cycle: sockets are hibernatable. An idle shard leaves memory, its sockets stay, pings of the Workers are
 *   answered by the runtime. When the object is reset or updated, its sockets break; Workers come back with their
 *   cursors and get what they missed. There are no timers but while a `has` call waits for an answer.
 * - Order: every change is one synchronous step: written, then sent. The runtime's output gate holds back frames until
 *   what was written is durable. A new stream begins where its predecessor says that it ended.
 * - Constraints: about 1,000 requests a second and 32,768 sockets per shard; both grow with the number of shards. Order
 *   is that of the shard: a broadcast is in as many logs as there are shards, without an order between them.
 * - Trade-off: a shard that serves several sessions can list them for a broadcast without an index of sessions
 *   elsewhere; in return sessions share its throughput.
 */
export class SyncLayer extends DurableObject implements Shard, InfoShard {
  readonly #store: ShardStore;
  readonly #sockets: Sockets;
  readonly #streams: ShardStreams;
  /** None where the class has no SQL. */
  readonly #info: InfoTable | undefined;
  readonly #waiting = new Waiting();
  readonly #startedAt = Date.now();
  #alarmAt: number | undefined;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as Cloudflare.Env);
    this.#store = openStore(ctx.storage);
    this.#sockets = new Sockets(ctx);
    this.#streams = new ShardStreams(this.#store, this.#sockets);
    this.#info = this.#store.kept ? new InfoTable(ctx.storage.sql) : undefined;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** A Worker opens the socket of one stream. */
  override fetch(request: Request): Response {
    const url = new URL(request.url);
    if (request.headers.get('Upgrade') !== 'websocket') return new Response('expected a WebSocket', { status: 426 });
    if (url.searchParams.get('p') !== String(PROTOCOL)) return new Response('unknown protocol', { status: 400 });
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
    if (url.pathname === PATHS.listen) {
      this.#streams.openListen(server, url.searchParams);
    } else {
      this.#streams.open(server, url.searchParams);
      this.#waiting.answer(url.searchParams.get('session') ?? '');
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Stores a batch of messages and sends them to the streams that are open. */
  async publish(batch: ShardBatch): Promise<Published> {
    const { epoch } = this.#store;
    // The log of the first try is lost, and with it whether that try was stored.
    if (batch.attempt > 1 && batch.epoch !== undefined && batch.epoch !== epoch) return { epoch, stored: false };
    const appended = this.#store.append(batch);
    if (appended) {
      this.#sockets.deliver(appended);
      this.#ensureAlarm();
    }
    return { epoch, stored: true };
  }

  /** Whether a stream of this session is open and its client reads. */
  async has(session: string, settings: ShardSettings): Promise<boolean> {
    if (this.#streams.holder(session) === undefined && !(await this.#returns(session))) return false;
    const holder = this.#streams.holder(session);
    if (holder === undefined) return false;
    const [socket, attachment] = holder;
    if (Date.now() - attachment.provedAt < settings.sessionTimeoutMs) return true;
    const probe = crypto.randomUUID();
    if (!this.#sockets.send(socket, { type: 'probe', probe })) return false;
    if (await this.#waiting.wait(probe, PROBE_MS)) return true;
    const now = this.#streams.holder(session);
    return now !== undefined && now[1].claim !== attachment.claim;
  }

  /** A Worker says where a stream ended. */
  async release(release: Release): Promise<void> {
    this.#streams.release(release);
    this.#waiting.answer(releaseOf(release.claim));
    this.#ensureAlarm();
  }

  /** Ends a session everywhere: DELETE. */
  async endSession(session: string, operation: string): Promise<void> {
    // What its last stream gets begins where the one before stopped, which is about to be said.
    const before = this.#store.predecessor(session);
    if (before !== undefined) await this.#waiting.wait(releaseOf(before), RETURN_MS);
    if (this.#streams.end(session, operation)) this.#ensureAlarm();
  }

  async getInfo(session: string, ttlMs: number): Promise<InfoRow> {
    return this.#infoTable().read(session, ttlMs);
  }

  async setInfo(write: InfoWrite): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#infoTable().write(write));
    this.#ensureAlarm();
  }

  async deleteInfo(session: string, ageMs: number, ttlMs: number, sentAt?: number): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#infoTable().delete(session, ageMs, ttlMs, sentAt));
    this.#ensureAlarm();
  }

  async subscribers(uri: string): Promise<string[]> {
    return this.#infoTable().subscribers(uri);
  }

  async check(): Promise<{ sql: boolean }> {
    return { sql: this.#store.kept };
  }

  override webSocketMessage(socket: WebSocket, text: string | ArrayBuffer): void {
    const message = JSON.parse(String(text)) as ToShard;
    this.#streams.receive(socket, message);
    // A stream that is over proves nothing of its session.
    if (message.type === 'alive' && this.#sockets.attachment(socket).state !== 'over')
      this.#waiting.answer(message.probe);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    if (this.#streams.closed(socket)) this.#ensureAlarm();
    try {
      // Runtimes before 2026-04-07 leave answering the close frame to us; later ones have done it.
      socket.close(code === 1005 || code === 1006 ? CLOSE.normal : code, reason);
    } catch {
      // It is closed: that is what was wanted.
    }
  }

  override webSocketError(socket: WebSocket): void {
    if (this.#streams.closed(socket)) this.#ensureAlarm();
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = undefined;
    const now = Date.now();
    // After a reset it may be the first to come: then the sockets of sessions that are held are about to.
    const isOpen = (session: string): boolean => this.#sockets.ofSession(session).length > 0;
    const { isLeft, isAwaited } = this.#store.expire(now, isOpen, now - this.#startedAt < JUST_STARTED_MS);
    const next = this.ctx.storage.transactionSync(() => this.#info?.expire(now));
    if (isAwaited) this.#ensureAlarm(LOOK_AGAIN_MS);
    else if (isLeft) this.#ensureAlarm();
    else if (next !== undefined) this.#ensureAlarm(Math.max(next - now, MINUTE_MS));
  }

  #infoTable(): InfoTable {
    if (!this.#info) throw new Error('session info needs a class with SQL: "new_sqlite_classes"');
    return this.#info;
  }

  /** Right after a reset Workers are about to come back: "no" would be wrong in a moment. */
  async #returns(session: string): Promise<boolean> {
    if (this.#store.holder(session) === undefined || Date.now() - this.#startedAt > JUST_STARTED_MS) return false;
    return this.#waiting.wait(session, RETURN_MS);
  }

  /** Something will expire. One alarm serves all: setting one costs a row written. */
  #ensureAlarm(inMs: number = this.#store.expiryMs): void {
    const at = Date.now() + inMs;
    // The alarm of session info may be days away.
    if (!this.#store.kept || (this.#alarmAt !== undefined && this.#alarmAt <= at)) return;
    this.#alarmAt = at;
    const { storage } = this.ctx;
    this.ctx.waitUntil(storage.getAlarm().then((set) => (set === null || set > at ? storage.setAlarm(at) : undefined)));
  }
}

/** What is waited for until a stream says where it ended. */
function releaseOf(claim: string): string {
  return `release ${claim}`;
}
