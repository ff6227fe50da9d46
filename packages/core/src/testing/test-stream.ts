import type { StreamSessionManager } from '../stream-session-manager.ts';
import { labelOf } from './messages.ts';
import { type SseFrame, SseParser } from './sse-frames.ts';
import { until } from './until.ts';

export type TestStreamOptions = {
  readonly lastEventId?: string | undefined;
  /** The transport that opens it. They differ in their first frame. @default 'http' */
  readonly transport?: 'http' | 'sse';
  /** @default true */
  readonly reading?: boolean;
};

/** `ended` by the server, `failed` when it did so with chunks unread, `cancelled` by the client. */
export type TestStreamState = 'open' | 'ended' | 'failed' | 'cancelled';

const FIRST_FRAMES = { http: ': connected\n\n', sse: 'event: endpoint\ndata: /message?session_id=x\n\n' };

/**
 * The response to one GET, opened and cancelled exactly as `@tmcp/transport-http` and `@tmcp/transport-sse` do it, and
 * the client that reads it.
 */
export class TestStream {
  /** Settles as `create` does. */
  readonly created: Promise<void>;
  /** What was read: bytes as they came, and the frames in them. */
  readonly chunks: Uint8Array[] = [];
  readonly frames: SseFrame[] = [];
  state: TestStreamState = 'open';
  readonly #body: ReadableStream<Uint8Array>;
  readonly #parser = new SseParser();
  #controller: ReadableStreamDefaultController | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #abandoned = false;
  #deleting = false;

  constructor(manager: StreamSessionManager, session: string, options: TestStreamOptions = {}) {
    const { lastEventId, transport = 'http', reading = true } = options;
    let created: Promise<void> | undefined;
    this.#body = new ReadableStream<Uint8Array>({
      start: async (controller) => {
        this.#controller = controller;
        created = (async () =>
          lastEventId === undefined
            ? manager.create(session, controller)
            : manager.create(session, controller, { lastEventId }))();
        await created;
        controller.enqueue(new TextEncoder().encode(FIRST_FRAMES[transport]));
      },
      cancel: async () => {
        this.#deleting = true;
        await manager.delete(session);
      },
    });
    this.created = created ?? Promise.reject(new Error('a stream starts in its constructor'));
    this.created.catch(() => undefined);
    if (reading) this.read();
  }

  /** Names of the messages that were read, comments left out. */
  get labels(): string[] {
    return this.frames.flatMap(({ event, data }) => (event === 'message' && data !== undefined ? [labelOf(data)] : []));
  }

  get comments(): string[] {
    return this.frames.flatMap(({ comment }) => (comment === undefined ? [] : [comment]));
  }

  /** Chunks that wait to be read. */
  get unread(): number {
    return 1 - (this.#controller?.desiredSize ?? 1);
  }

  /** What the client would send as `Last-Event-ID`. */
  get lastEventId(): string | undefined {
    return this.frames.findLast(({ id }) => id !== undefined)?.id;
  }

  /** The id of a message that was read. */
  idOf(label: string): string {
    const found = this.frames.find(({ event, data }) => event === 'message' && data && labelOf(data) === label);
    if (found?.id === undefined) throw new Error(`no message ${label} with an id was read`);
    return found.id;
  }

  /** Reads on, until `pause`. */
  read(): void {
    if (this.#reader || this.#abandoned || this.state !== 'open') return;
    const reader = this.#body.getReader();
    this.#reader = reader;
    void this.#readAll(reader);
  }

  /** Stops reading: what comes from now on stays in the queue. */
  pause(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.releaseLock();
  }

  /** Reads one chunk, which stands for a client that is slow. Only while paused. */
  async readChunk(): Promise<void> {
    const reader = this.#body.getReader();
    const result = await reader.read();
    reader.releaseLock();
    this.#take(result);
  }

  /** Goes away without a word: neither reads nor cancels any more, as behind a connection that is half open. */
  abandon(): void {
    this.#abandoned = true;
    this.pause();
  }

  /** Closes the connection. Resolves when the manager has been told. */
  async cancel(): Promise<void> {
    if (this.state === 'open') this.state = 'cancelled';
    try {
      await (this.#reader ?? this.#body).cancel();
    } catch (error) {
      // A body that the server has errored rejects, and the manager is not asked.
      if (this.#deleting) throw error;
    }
  }

  /** Waits until the server has ended this stream. */
  async ends(): Promise<void> {
    await until(
      () => this.state === 'ended' || this.state === 'failed',
      () => `the end of a stream that is ${this.state}`,
    );
  }

  async #readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    try {
      while (this.#reader === reader && this.state === 'open') this.#take(await reader.read());
    } catch {
      // `pause` took the reader away, or the server errored the stream.
      if (this.#reader === reader && this.state === 'open') this.state = 'failed';
    }
  }

  #take({ value, done }: ReadableStreamReadResult<Uint8Array>): void {
    if (this.#abandoned) return;
    if (done) {
      if (this.state === 'open') this.state = 'ended';
    } else {
      this.chunks.push(value);
      this.frames.push(...this.#parser.push(value));
    }
  }
}
