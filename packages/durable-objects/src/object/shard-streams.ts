import { CLOSE, type Release, type ShardSettings, type Topic, type ToShard } from '../protocol.ts';
import type { Ready, ShardStore } from './shard-store.ts';
import type { Attachment, Sockets, StreamAttachment } from './sockets.ts';

/**
 * The life of the streams of a shard: how each begins, catches up, goes live, is superseded and ends. What they hold is
 * decided by the store; here it is said to their Workers.
 *
 * A stream without its log entries pulls them page by page, at the pace of its reader. It is the object that turns it
 * live, in the step in which it sends the last page: neither a gap nor a repeat lies between.
 */
export class ShardStreams {
  readonly #store: ShardStore;
  readonly #sockets: Sockets;

  constructor(store: ShardStore, sockets: Sockets) {
    this.#store = store;
    this.#sockets = sockets;
  }

  /** A new stream claims its session; one whose socket broke goes on with the claim it has. */
  open(socket: WebSocket, query: URLSearchParams): void {
    const [session, claim] = [query.get('session') ?? '', query.get('claim') ?? ''];
    this.#configure(query);
    if (query.get('mode') === 'resume') this.#resume(socket, session, claim, query);
    else this.#claim(socket, session, claim, query.get('last') ?? undefined);
  }

  openListen(socket: WebSocket, query: URLSearchParams): void {
    const topics = (query.get('topics') ?? '').split(',') as Topic[];
    this.#configure(query);
    const after = numberOf(query.get('after'));
    const follows = after !== undefined && this.#store.canFollow(query.get('epoch') ?? '', after);
    const kept = follows && this.#store.page({ topics }, after) !== undefined;
    this.#sockets.accept(socket, { topics, state: kept ? 'replaying' : 'live' });
    const { epoch, head } = this.#store;
    const resumed = after === undefined || kept;
    this.#sockets.send(socket, { type: 'begin', epoch, after: kept ? after : head, resumed });
  }

  /** The socket of the stream that holds the session. */
  holder(session: string): [WebSocket, StreamAttachment] | undefined {
    const open = this.#sockets.ofSession(session);
    const claim = this.#store.holder(session);
    return this.#store.kept ? open.find(([, attachment]) => attachment.claim === claim) : open.at(-1);
  }

  /** What a Worker says about one of its streams. */
  receive(socket: WebSocket, message: ToShard): void {
    const attachment = this.#sockets.attachment(socket);
    if (attachment.state === 'over') return;
    if (message.type === 'pull') this.#page(socket, attachment, message.after);
    if (attachment.session === undefined) return;
    if (message.type === 'ack') this.#sockets.attach(socket, { ...attachment, acked: message.position });
    if (message.type === 'alive') this.#sockets.attach(socket, { ...attachment, provedAt: Date.now() });
    if (message.type === 'impatient') this.#giveUp(attachment);
  }

  /** A Worker says where a stream ended. */
  release(release: Release): void {
    const held = this.#sockets.ofClaim(release.session, release.claim);
    if (held) this.#sockets.attach(held[0], { ...held[1], state: 'over' });
    this.#begin(release.session, this.#store.release(release));
  }

  /** DELETE. @returns false when this operation was carried out before */
  end(session: string, operation: string): boolean {
    // What was accepted before belongs to the stream, even if that has not got so far yet.
    for (const [, attachment] of this.#sockets.ofSession(session)) {
      if (attachment.state === 'waiting') this.#giveUp(attachment);
    }
    for (const [socket] of this.#sockets.ofSession(session)) this.#sendRest(session, socket, this.#store.head);
    if (!this.#store.end(session, operation)) return false;
    for (const [socket] of this.#sockets.ofSession(session)) this.#sockets.finish(socket, 'ended');
    return true;
  }

  /**
   * A socket is gone. Its Worker may come back for the stream, or say where it ended.
   *
   * @returns whether a session is left that will have to be forgotten
   */
  closed(socket: WebSocket): boolean {
    const attachment = this.#sockets.attachment(socket);
    if (attachment.session === undefined) return false;
    const { session, claim, state, acked } = attachment;
    // Its Worker may live, and say where it stopped: a successor waits for that, until it gets impatient.
    this.#store.lost(session, claim, acked);
    if (state === 'over') return false;
    this.#sockets.attach(socket, { ...attachment, state: 'over' });
    return true;
  }

  #claim(socket: WebSocket, session: string, claim: string, lastEventId: string | undefined): void {
    const outcome = this.#store.claim(session, claim, lastEventId);
    this.#replace(session, claim);
    for (const [older] of this.#sockets.ofSession(session)) this.#sockets.finish(older, 'superseded');
    this.#sockets.accept(socket, { session, claim, state: 'waiting', provedAt: Date.now() });
    if (outcome !== 'wait') this.#begin(session, { claim, begin: outcome.begin });
  }

  #resume(socket: WebSocket, session: string, claim: string, query: URLSearchParams): void {
    const after = numberOf(query.get('after'));
    const outcome = this.#store.resume(session, claim, query.get('epoch') ?? '', after);
    this.#replace(session, claim);
    const goesOn = outcome === 'continue' || typeof outcome === 'object';
    const begin = typeof outcome === 'object' ? outcome.begin : undefined;
    const acked = after ?? begin?.after;
    const state = !goesOn ? 'over' : acked === undefined ? 'waiting' : 'replaying';
    this.#sockets.accept(socket, { session, claim, state, acked, provedAt: Date.now() });
    if (typeof outcome === 'object') {
      if (begin) this.#sockets.send(socket, { type: 'begin', ...begin });
      this.#sendRest(session, socket, outcome.endedAt);
      this.#sockets.finish(socket, 'ended');
    } else if (outcome !== 'continue') {
      this.#sockets.send(socket, { type: outcome });
    } else if (state === 'waiting' && this.#store.predecessor(session) === undefined) {
      // It waits for what it may have been told on the socket that broke: its claim is answered once more.
      const again = this.#store.claim(session, claim, undefined);
      if (again !== 'wait') this.#begin(session, { claim, begin: again.begin });
    }
  }

  /** A Worker has one socket per stream: an older one of the same claim is half open. */
  #replace(session: string, claim: string): void {
    for (const [socket, attachment] of this.#sockets.ofSession(session)) {
      if (attachment.claim !== claim) continue;
      this.#sockets.attach(socket, { ...attachment, state: 'over' });
      socket.close(CLOSE.released, 'replaced');
    }
  }

  /** Where a stream that waits begins is known now. */
  #begin(session: string, ready: Ready | undefined): void {
    const waiting = ready && this.#sockets.ofClaim(session, ready.claim);
    if (!ready || waiting?.[1].state !== 'waiting') return;
    const [socket, attachment] = waiting;
    // Without a log there is nothing to pull: it gets what comes from now on.
    const state = this.#store.kept ? 'replaying' : 'live';
    this.#sockets.attach(socket, { ...attachment, state, acked: ready.begin.after });
    this.#sockets.send(socket, { type: 'begin', ...ready.begin });
  }

  /** A stream does not wait for its predecessor any longer, and begins where that is known to have been. */
  #giveUp({ session, claim }: StreamAttachment): void {
    const before = this.#store.predecessor(session);
    const held = before === undefined ? undefined : this.#sockets.ofClaim(session, before);
    this.#begin(session, this.#store.giveUp(session, claim, held?.[1].acked));
  }

  #page(socket: WebSocket, attachment: Attachment, after: number): void {
    if (attachment.state !== 'replaying') return;
    const page = this.#store.page(attachment, after);
    if (!page) {
      this.#pageIsTrimmed(socket, attachment, after);
      return;
    }
    if (page.last) this.#sockets.attach(socket, { ...attachment, state: 'live' });
    else if (attachment.session !== undefined) this.#sockets.attach(socket, { ...attachment, acked: after });
    this.#sockets.send(socket, { type: 'page', entries: page.entries, live: page.last });
  }

  #pageIsTrimmed(socket: WebSocket, attachment: Attachment, after: number): void {
    const { session } = attachment;
    if (session !== undefined && attachment.acked === after) {
      // It got nothing yet: it begins anew with what is still there, and is told so.
      const kept = this.#store.trimmedFor({ session });
      this.#sockets.attach(socket, { ...attachment, acked: kept });
      this.#sockets.send(socket, { type: 'begin', epoch: this.#store.epoch, after: kept, resumed: false });
      return;
    }
    if (session !== undefined) this.#store.loseTrack(session);
    this.#sockets.send(socket, { type: 'gap' });
  }

  /** All that a stream has still to pull, up to a position. */
  #sendRest(session: string, socket: WebSocket, upTo: number): void {
    const { state, acked = 0 } = this.#sockets.attachment(socket);
    if (state !== 'replaying') return;
    for (let after = acked; after < upTo; ) {
      const page = this.#store.page({ session }, after);
      if (!page) return;
      const entries = page.entries.filter(([seq]) => seq <= upTo);
      this.#sockets.send(socket, { type: 'page', entries, live: page.last });
      if (page.last || entries.length < page.entries.length) return;
      after = entries.at(-1)?.[0] ?? upTo;
    }
  }

  #configure(query: URLSearchParams): void {
    const settings = query.get('settings');
    if (settings) this.#store.configure(JSON.parse(settings) as ShardSettings);
  }
}

function numberOf(text: string | null): number | undefined {
  const number = text === null || text === '' ? Number.NaN : Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}
