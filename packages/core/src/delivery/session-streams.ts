import type { LocalStream } from './local-stream.ts';

/**
 * The streams that are held here, by session. A session has one, except while it moves: then the older ones hang on
 * the newest until they have ended. Chained rather than listed, for a process holds many.
 */
export class SessionStreams {
  readonly #newest = new Map<string, LocalStream>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(stream: LocalStream): void {
    stream.older = this.#newest.get(stream.session);
    this.#newest.set(stream.session, stream);
    this.#size += 1;
  }

  remove(stream: LocalStream): void {
    const newest = this.#newest.get(stream.session);
    if (newest === stream) {
      if (stream.older) this.#newest.set(stream.session, stream.older);
      else this.#newest.delete(stream.session);
      this.#size -= 1;
      return;
    }
    for (let newer = newest; newer; newer = newer.older) {
      if (newer.older !== stream) continue;
      newer.older = stream.older;
      this.#size -= 1;
      return;
    }
  }

  /** The newest stream of a session; follow `older` for the others. */
  newestOf(session: string): LocalStream | undefined {
    return this.#newest.get(session);
  }

  /** The newest stream of every session. */
  newest(): IterableIterator<LocalStream> {
    return this.#newest.values();
  }

  /** All streams of a session, newest first; a copy, so that they may end meanwhile. */
  of(session: string): LocalStream[] {
    const streams: LocalStream[] = [];
    for (let stream = this.#newest.get(session); stream; stream = stream.older) streams.push(stream);
    return streams;
  }

  /** Every stream; they may end meanwhile. */
  *all(): Generator<LocalStream> {
    for (const session of [...this.#newest.keys()]) yield* this.of(session);
  }
}
