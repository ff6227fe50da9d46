import { type ClaimAnswer, LOST } from './backplane.ts';
import type { Start } from './start.ts';
import { encodeText } from './text.ts';

/**
 * - `claiming`: its claim is on its way into the log
 * - `waiting`: the session's previous stream, held by another claim, has not yet said where it ended
 * - `replaying`: it gets what lies between its start and the node's cursor
 * - `live`: it gets what the node reads
 * - `draining`: it gets nothing more, and ends in a moment: when its client has read what came before the end of its
 *   session, or when it is stored that its continuity is lost
 * - `ended`: nothing more is delivered
 */
export type StreamState = 'claiming' | 'waiting' | 'replaying' | 'live' | 'draining' | 'ended';

/**
 * How a stream came to its end, and so where the session's next stream starts. `sent` is `LOST` when something may be
 * missing before `detach`, and the client has not been told.
 */
export type StreamEnd = { readonly detach: number; readonly sent: number };

/** The state of a stream that has not begun. */
export class Beginning {
  /** What its claim found; `undefined` while that is on its way. */
  answer: ClaimAnswer | undefined;
  start: Start | undefined;
  /** The transport's own first frame is out. */
  settled = false;
  /** A later claim was read, or the client went away: this stream only has to say where it would have begun. */
  passedOver = false;
  /** Releases of the session that were read meanwhile: claim to position. */
  releases: Map<string, StreamEnd> | undefined;
}

/** A chunk that the client has not read yet, as far as is known. */
type Unread = { readonly position: number; readonly bytes: number; readonly isHint: boolean };

const KEEP_ALIVE = encodeText(': keepalive\n\n');

/**
 * One response body and how far its session's entries were handed to it. Kept small: a process holds many.
 *
 * The controller tells how many chunks wait in its queue, not which: the chunks that were enqueued while something
 * waited are remembered with their positions, oldest first, and forgotten as the queue gets shorter.
 */
export class LocalStream {
  readonly session: string;
  readonly claim: string;
  readonly lastEventId: string | undefined;
  readonly #controller: ReadableStreamDefaultController;
  /** Size of an empty queue. */
  #highWaterMark: number;
  /** It had something in it, or has no size at all: then the usual one is assumed until a client shows which. */
  #isAssumed: boolean;

  state: StreamState = 'claiming';
  /** The next older stream of the same session on this node, while it lasts. */
  older: LocalStream | undefined;
  /** What only matters until the stream has begun. */
  beginning: Beginning | undefined = new Beginning();
  /** The node has read this stream's claim: whatever it reads of the session from now on comes later. */
  claimRead = false;
  /** Everything up to this position was handed over, or does not concern this stream. */
  position = 0;
  /** Where its session ended, when that was read before the stream had got that far. */
  endsAt: number | undefined;
  /** Position of the last frame handed over. */
  #lastFrame = 0;
  /** Position of the last frame that is known to have left the queue. */
  #left = 0;
  #unread: Unread[] | undefined;
  #unreadBytes = 0;
  #lastWrite: number = performance.now();

  constructor(
    session: string,
    claim: string,
    controller: ReadableStreamDefaultController,
    lastEventId: string | undefined,
  ) {
    this.session = session;
    this.claim = claim;
    this.lastEventId = lastEventId;
    this.#controller = controller;
    const size = controller.desiredSize ?? 1;
    this.#isAssumed = size < 1;
    this.#highWaterMark = this.#isAssumed ? 1 : size;
  }

  /**
   * Sets where delivery begins.
   *
   * @param sent a client whose last event is not below this has got everything up to there: the last frame that an
   *   earlier stream of the session sent, however long ago
   */
  startAfter(position: number, sent: number = position): void {
    this.position = position;
    this.#lastFrame = sent;
    this.#left = position;
  }

  /** Bytes of frames that the client has not read. */
  unreadBytes(): number {
    if (this.#unread) this.#forgetRead();
    return this.#unreadBytes;
  }

  /** Whether chunks wait for the client. */
  isUnread(): boolean {
    return this.#queued() > 0;
  }

  /**
   * Hands over one frame.
   *
   * @param isHint it tells the client that something may be missing
   * @returns false when the stream is dead
   */
  push(position: number, chunk: Uint8Array, isHint = false): boolean {
    if (!this.#enqueue(chunk)) return false;
    this.position = position;
    this.#lastFrame = position;
    this.#remember(position, chunk.length, isHint);
    return true;
  }

  /** Writes a comment if nothing was written for a while and nothing is unread. @returns false when it is dead */
  keepAlive(idleMs: number): boolean {
    if (performance.now() - this.#lastWrite < idleMs || this.#queued() > 0) return true;
    return this.#enqueue(KEEP_ALIVE);
  }

  /** Whether the client has gone. Only an enqueue tells: `desiredSize` is 0 for a full queue and for a closed stream. */
  isDead(): boolean {
    if (!this.#enqueue(EMPTY)) return true;
    // It may lie in the queue behind frames, and is counted like them: else one that was read would seem unread.
    this.#remember(this.#lastFrame, 0);
    return false;
  }

  /**
   * Ends the body. With chunks in its queue it is `error()`ed, for a `close()` would leave them to be read after the
   * session moved on, and the client's late cancel would hit the successor.
   *
   * @param reached everything up to this position was handed over
   * @returns exactly where delivery stopped: what still lay in the queue was not delivered
   */
  finish(reached: number): StreamEnd {
    const queued = this.#queued();
    if (this.#unread) this.#forgetRead();
    this.state = 'ended';
    const isUntold = this.#unread?.some(({ isHint }) => isHint) ?? false;
    const end =
      queued === 0
        ? { detach: reached, sent: this.#lastFrame }
        : { detach: this.#left, sent: isUntold ? LOST : this.#left };
    try {
      if (queued === 0) this.#controller.close();
      else this.#controller.error(new Error('the stream was ended by the server; reconnect to continue'));
    } catch {
      // It was closed or errored by its other side: that is what was wanted.
    }
    this.#unread = undefined;
    return end;
  }

  /** The body is gone already. What its queue held is lost unless the client names its last event. */
  abandon(reached: number): StreamEnd {
    this.state = 'ended';
    this.#unread = undefined;
    return { detach: reached, sent: this.#lastFrame };
  }

  #enqueue(chunk: Uint8Array): boolean {
    const before = this.#isAssumed ? this.#controller.desiredSize : null;
    try {
      this.#controller.enqueue(chunk);
    } catch {
      return false; // the stream was cancelled, closed or errored; the caller releases it
    }
    if (before !== null && chunk.length > 0 && before === this.#controller.desiredSize) {
      // The client was waiting and took it at once.
      this.#highWaterMark = before;
      this.#isAssumed = false;
    }
    this.#lastWrite = performance.now();
    return true;
  }

  /** Takes note of the chunk that was enqueued last. */
  #remember(position: number, bytes: number, isHint = false): void {
    if (this.#queued() === 0) {
      this.#left = position;
      this.#unread = undefined;
      this.#unreadBytes = 0;
    } else {
      this.#unread ??= [];
      this.#unread.push({ position, bytes, isHint });
      this.#unreadBytes += bytes;
    }
  }

  #queued(): number {
    const size = this.#controller.desiredSize;
    // Infinite where the queue has no limit: then nothing can be known.
    return size === null || !Number.isFinite(size) ? 0 : this.#highWaterMark - size;
  }

  /** The transport's own chunks stand before ours: of a queue of n at most n of ours are unread. */
  #forgetRead(): void {
    const unread = this.#unread ?? [];
    const gone = unread.length - this.#queued();
    if (gone <= 0) return;
    for (const { position, bytes } of unread.slice(0, gone)) {
      this.#left = position;
      this.#unreadBytes -= bytes;
    }
    this.#unread = gone === unread.length ? undefined : unread.slice(gone);
  }
}

const EMPTY = new Uint8Array(0);
