import { after } from './clock.ts';
import { EVERYONE, type PayloadItem } from './entries.ts';
import { formatEventId } from './event-id.ts';
import type { LocalStream } from './local-stream.ts';
import type { DeliveryNode } from './node.ts';
import type { SessionStreams } from './session-streams.ts';
import { encodeText } from './text.ts';

export type LiveDeliveryHost = {
  /** A payload has to be fetched: this stream waits for it, alone, and catches up from the log. */
  fallBehind(stream: LocalStream, reached: number): void;
  tooSlow(stream: LocalStream): void;
  /** Its client has gone. */
  gone(stream: LocalStream, reached: number): void;
};

/** Hands frames to the live streams they are for, as the node reads them. */
export class LiveDelivery {
  readonly #node: DeliveryNode;
  readonly #streams: SessionStreams;
  readonly #host: LiveDeliveryHost;
  /** Streams that got more than they may leave unread, in this turn or before. */
  readonly #crowded = new Set<LocalStream>();
  #delivered = 0;

  constructor(node: DeliveryNode, streams: SessionStreams, host: LiveDeliveryHost) {
    this.#node = node;
    this.#streams = streams;
    this.#host = host;
  }

  /** Frames that were handed out. */
  get delivered(): number {
    return this.#delivered;
  }

  /** A frame as bytes, with its event id. */
  encode(position: number, frame: string): Uint8Array {
    const { eventIds } = this.#node.settings;
    return encodeText(eventIds ? `id: ${formatEventId(this.#node.epoch, position)}\n${frame}` : frame);
  }

  /** @param offset where the payload begins in `data` */
  frame(position: number, item: PayloadItem, data: string, offset: number): void {
    const to = item[0];
    if (typeof to === 'string') {
      const newest = this.#streams.newestOf(to);
      if (newest) this.#hand(newest, position, item, data, offset, undefined);
      return;
    }
    // Whoever gets it gets the same bytes: a broadcast is encoded once.
    let chunk: Uint8Array | undefined;
    if (to === EVERYONE) {
      for (const newest of this.#streams.newest()) chunk = this.#hand(newest, position, item, data, offset, chunk);
    } else if (typeof to === 'object') {
      for (const session of to) {
        const newest = this.#streams.newestOf(session);
        if (newest) chunk = this.#hand(newest, position, item, data, offset, chunk);
      }
    }
  }

  /** @returns the chunk, so that the next receiver can share it */
  #hand(
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
          this.#host.fallBehind(stream, position - 1);
        } else {
          chunk ??= this.encode(position, data.slice(offset, offset + length));
          this.#push(stream, position, chunk);
        }
      }
      stream = older;
    }
    return chunk;
  }

  #push(stream: LocalStream, position: number, chunk: Uint8Array): void {
    if (this.#isCrowded(stream)) this.#judgeSoon(stream);
    if (stream.push(position, chunk)) this.#delivered += 1;
    else this.#host.gone(stream, position - 1);
  }

  #isCrowded(stream: LocalStream): boolean {
    return stream.unreadBytes() > this.#node.settings.maxStreamBufferBytes;
  }

  /** What comes in one turn cannot be read in it: who is slow shows once its client could have read. */
  #judgeSoon(stream: LocalStream): void {
    const isJudgementDue = this.#crowded.size > 0;
    this.#crowded.add(stream);
    if (isJudgementDue) return;
    after(0, () => {
      const crowded = [...this.#crowded];
      this.#crowded.clear();
      for (const each of crowded) if (each.state === 'live' && this.#isCrowded(each)) this.#host.tooSlow(each);
    });
  }
}
