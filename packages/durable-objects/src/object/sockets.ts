import { hash } from '../hash.ts';
import type { Entry, Topic, ToWorker } from '../protocol.ts';
import type { Appended } from './shard-store.ts';

/**
 * - `waiting`: its predecessor has not said where it ended
 * - `replaying`: it pulls page by page what it has missed
 * - `live`: it gets what is appended
 * - `over`: it was superseded or ended; its Worker closes it
 */
export type SocketState = 'waiting' | 'replaying' | 'live' | 'over';

/** What is known of a socket. It is kept with the socket by the runtime, and survives hibernation. */
export type Attachment =
  | {
      readonly session: string;
      readonly claim: string;
      readonly state: SocketState;
      /** Everything up to here was handed to the client. */
      readonly acked?: number | undefined;
      /** When the client was last known to be there. */
      readonly provedAt: number;
    }
  | {
      readonly session?: undefined;
      readonly acked?: undefined;
      readonly topics: readonly Topic[];
      readonly state: SocketState;
    };

export type StreamAttachment = Extract<Attachment, { session: string }>;

const STREAMS = 'streams';

/**
 * The hibernatable sockets of a shard. The runtime keeps them, their tags and attachments while the object is not in
 * memory: nothing of them stands in a field but a cache of attachments, which is as weak as the sockets.
 */
export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #attachments = new WeakMap<WebSocket, Attachment>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  accept(socket: WebSocket, attachment: Attachment): void {
    const tags = attachment.session === undefined ? attachment.topics.map(topicTag) : [STREAMS, sessionTag(attachment)];
    this.#ctx.acceptWebSocket(socket, tags);
    this.attach(socket, attachment);
  }

  attach(socket: WebSocket, attachment: Attachment): void {
    this.#attachments.set(socket, attachment);
    socket.serializeAttachment(attachment);
  }

  attachment(socket: WebSocket): Attachment {
    let attachment = this.#attachments.get(socket);
    if (!attachment) {
      attachment = socket.deserializeAttachment() as Attachment;
      this.#attachments.set(socket, attachment);
    }
    return attachment;
  }

  /** Open sockets of a session, those that are over left out unless they are asked for. */
  ofSession(session: string, over = false): [WebSocket, StreamAttachment][] {
    const found: [WebSocket, StreamAttachment][] = [];
    for (const socket of this.#ctx.getWebSockets(sessionTag({ session }))) {
      const attachment = this.attachment(socket);
      // Tags are short hashes: two sessions may share one.
      if (attachment.session === session && (over || attachment.state !== 'over') && isOpen(socket)) {
        found.push([socket, attachment]);
      }
    }
    return found;
  }

  ofClaim(session: string, claim: string): [WebSocket, StreamAttachment] | undefined {
    return this.ofSession(session, true).find(([, attachment]) => attachment.claim === claim);
  }

  get streams(): number {
    return this.#ctx.getWebSockets(STREAMS).filter(isOpen).length;
  }

  /** @returns false where the socket is gone; its Worker comes back with its cursor */
  send(socket: WebSocket, message: ToWorker): boolean {
    return isOpen(socket) && sendText(socket, JSON.stringify(message));
  }

  /** Nothing more will come on it: says why, and leaves closing to the Worker. */
  finish(socket: WebSocket, why: 'superseded' | 'ended'): void {
    // How far it got is of interest as long as its session lasts.
    const forgotten = why === 'ended' && { acked: undefined };
    this.attach(socket, { ...this.attachment(socket), state: 'over', ...forgotten });
    this.send(socket, { type: why });
  }

  /** Sends what was appended to those it concerns that are live, in order. */
  deliver(appended: readonly Appended[]): void {
    this.#deliverToStreams(appended.filter(({ topic }) => topic === undefined));
    for (const { topic, seq, data } of appended) {
      if (topic === undefined) continue;
      const text = liveText([[seq, data]]);
      for (const socket of this.#ctx.getWebSockets(topicTag(topic))) this.#sendLive(socket, text);
    }
  }

  #deliverToStreams(appended: readonly Appended[]): void {
    const named = new Map<string, Entry[]>();
    for (const { to } of appended) for (const session of to ?? []) named.set(session, []);
    for (const { to, ...message } of appended) {
      for (const session of to ? new Set(to) : named.keys()) named.get(session)?.push(asEntry(message));
    }
    // Several messages to one session travel as one frame, each of them whole and in its place.
    for (const [session, entries] of named) {
      for (const [socket] of this.ofSession(session)) this.#sendLive(socket, liveText(entries));
    }
    const everyone = appended.filter(({ to }) => to === undefined).map(asEntry);
    if (everyone.length === 0) return;
    const text = liveText(everyone);
    for (const socket of this.#ctx.getWebSockets(STREAMS)) {
      const { session } = this.attachment(socket);
      if (session !== undefined && !named.has(session)) this.#sendLive(socket, text);
    }
  }

  #sendLive(socket: WebSocket, text: string): void {
    if (this.attachment(socket).state === 'live' && isOpen(socket)) sendText(socket, text);
  }
}

function asEntry({ seq, data }: Appended): Entry {
  return [seq, data];
}

function liveText(entries: readonly Entry[]): string {
  return JSON.stringify({ type: 'live', entries } satisfies ToWorker);
}

function sendText(socket: WebSocket, text: string): boolean {
  try {
    socket.send(text);
    return true;
  } catch {
    // It closed at this moment: what it did not get stands in the log, and its Worker comes for it.
    return false;
  }
}

function isOpen(socket: WebSocket): boolean {
  return socket.readyState === 1;
}

function topicTag(topic: Topic): string {
  return `topic:${topic}`;
}

/** Ids have up to 1,024 bytes, tags 256. Two long ids may share a tag: attachments keep them apart. */
function sessionTag({ session }: { readonly session: string }): string {
  return session.length * 3 <= 240 ? `session:${session}` : `long:${session.length}:${hash(session)}`;
}
