import { after, elapsedMs, type Moment, now, sleep } from './clock.ts';
import type { Entries } from './entries.ts';
import type { LocalStream } from './local-stream.ts';
import type { DeliveryNode } from './node.ts';
import { type PayloadAt, payloadsFor } from './payload-index.ts';

/** How long a paused replay, or one that found its node fenced, waits before it looks again. */
const PAUSE_MS = 25;
/** How long it waits after the backend failed. */
const RETRY_MS = 300;
/** How long a fetched payload is kept for its other receivers. */
const SHARE_MS = 1_000;

export type ReplayHost = {
  encode(position: number, frame: string): Uint8Array;
  /** It has caught up. */
  goLive(stream: LocalStream): void;
  /** It has got everything that came before the end of its session. */
  drain(stream: LocalStream): void;
  tooSlow(stream: LocalStream): void;
  /** Its client has gone. */
  gone(stream: LocalStream): void;
  /** The log was trimmed past the stream's position, or lacks a large message that comes next. */
  trimmedAway(stream: LocalStream): void;
};

/**
 * Hands a stream what lies between its position and the node's cursor: for streams that begin, and for streams that
 * fell behind because a payload has to be fetched. It reads the log page by page, and only while the client reads.
 */
export class Replay {
  readonly #node: DeliveryNode;
  readonly #host: ReplayHost;
  readonly #fetched = new Map<string, Promise<Uint8Array | undefined>>();
  #replayed = 0;

  constructor(node: DeliveryNode, host: ReplayHost) {
    this.#node = node;
    this.#host = host;
  }

  /** Frames that were handed out. */
  get replayed(): number {
    return this.#replayed;
  }

  /** Replays until the stream is live, which happens in the same tick as the last look at the cursor. Never rejects. */
  async run(stream: LocalStream): Promise<void> {
    const node = this.#node;
    let progress: { position: number; since: Moment } = { position: stream.position, since: now() };
    while (stream.state === 'replaying') {
      if (stream.position > progress.position) progress = { position: stream.position, since: now() };
      if (!node.mayDeliver()) {
        await sleep(PAUSE_MS);
      } else if (stream.unreadBytes() > node.settings.maxStreamBufferBytes) {
        // A replay that nobody reads must not hold back the written cursor, and with it the trimming, for ever.
        if (elapsedMs(progress.since) > node.settings.resumeWindowMs) this.#host.tooSlow(stream);
        else await sleep(PAUSE_MS);
      } else if (stream.endsAt !== undefined && stream.position >= stream.endsAt) {
        this.#host.drain(stream);
      } else if (stream.position >= node.cursor) {
        this.#host.goLive(stream);
      } else {
        await this.#step(stream).catch(async (error: unknown) => {
          node.report(error);
          await sleep(RETRY_MS);
        });
      }
    }
  }

  /** Hands out what is at hand, or one page. Rejects when the backend does not answer: then it is tried again. */
  async #step(stream: LocalStream): Promise<void> {
    const upTo = this.#node.cursor;
    const recent = this.#node.recent.after(stream.position);
    if (!recent) await this.#searchLog(stream, upTo);
    // What could not be read up to there was skipped, here as well.
    else if (await this.#handOut(stream, recent)) stream.position = Math.max(stream.position, upTo);
  }

  async #searchLog(stream: LocalStream, upTo: number): Promise<void> {
    const page = await this.#node.search(stream.session, stream.position, upTo);
    if (stream.state !== 'replaying' || !this.#node.mayDeliver()) return;
    if (page.epoch !== this.#node.epoch) {
      await sleep(PAUSE_MS); // the node is about to find out, and ends this stream
    } else if (page.trimmed > stream.position) {
      this.#host.trimmedAway(stream);
    } else if (await this.#handOut(stream, page.parts)) {
      stream.position = Math.max(stream.position, page.reached);
    }
  }

  /** @returns whether everything was handed out; false when the stream ended or has to pause */
  async #handOut(stream: LocalStream, parts: readonly Entries[]): Promise<boolean> {
    for (const part of parts) {
      if (stream.endsAt !== undefined && stream.position >= stream.endsAt) return true;
      for (const payload of payloadsFor(part, stream.session)) {
        if (payload.position <= stream.position) continue;
        if (stream.endsAt !== undefined && payload.position > stream.endsAt) break;
        if (!(await this.#handOne(stream, payload, part.data))) return false;
      }
      if (stream.state !== 'replaying') return false;
      stream.position = Math.max(stream.position, Math.min(part.last, stream.endsAt ?? part.last));
    }
    return true;
  }

  async #handOne(stream: LocalStream, { position, item, offset }: PayloadAt, data: string): Promise<boolean> {
    const [, length, large] = item;
    if (stream.unreadBytes() > this.#node.settings.maxStreamBufferBytes) {
      stream.position = position - 1;
      return false;
    }
    let chunk: Uint8Array | undefined;
    if (!large) {
      chunk = this.#host.encode(position, data.slice(offset, offset + length));
    } else {
      chunk = await this.#fetch(position, large[0]);
      if (stream.state !== 'replaying' || !this.#node.mayDeliver()) return false;
      if (chunk === undefined) {
        // Ended only, its client would come back to the same place for ever.
        this.#host.trimmedAway(stream);
        return false;
      }
    }
    if (!stream.push(position, chunk)) {
      this.#host.gone(stream);
      return false;
    }
    this.#replayed += 1;
    return true;
  }

  /** A payload that is stored beside the log, as a chunk that all its receivers here share. */
  #fetch(position: number, id: string): Promise<Uint8Array | undefined> {
    const known = this.#fetched.get(id);
    if (known) return known;
    const text = this.#node.backplane.getLarge(id);
    const chunk = text.then((frame) => (frame === undefined ? undefined : this.#host.encode(position, frame)));
    this.#fetched.set(id, chunk);
    // Receivers are not all equally far: it stays for those that come a moment later.
    chunk.then(
      () => after(SHARE_MS, () => this.#fetched.delete(id)),
      () => this.#fetched.delete(id),
    );
    return chunk;
  }
}
