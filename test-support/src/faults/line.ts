import { HINT, readMessage } from './message.ts';
import type { StreamManager } from './stream-manager.ts';

/** What a client keeps of a frame: the event id, and which message it was. */
export type Frame = { readonly id: string | undefined; readonly label: string };

/** `ended` by the server, `failed` when it did so with chunks unread, `cancelled` by the client, `refused` by `create`. */
export type LineState = 'open' | 'ended' | 'failed' | 'cancelled' | 'refused';

/** The response to one GET, and the client that reads it. */
export interface Line {
  /** Settles as `create` does. */
  readonly created: Promise<void>;
  /** What the client has read, comments left out. */
  readonly frames: Frame[];
  readonly state: LineState;
  /** Closes the connection; resolves when the manager has been told. */
  cancel(): Promise<void>;
  /** Stops reading, and leaves what comes in the queue. */
  pause(): void;
  resume(): void;
}

/** Opened, read and cancelled as the transports do it. @param heard told of each frame the moment it is read */
export class LocalLine implements Line {
  readonly created: Promise<void>;
  readonly frames: Frame[] = [];
  state: LineState = 'open';
  readonly #body: ReadableStream<Uint8Array>;
  readonly #heard: (frame: Frame) => void;
  readonly #changed: (state: LineState) => void;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(
    manager: StreamManager,
    session: string,
    lastEventId: string | undefined,
    heard: (frame: Frame) => void = () => undefined,
    changed: (state: LineState) => void = () => undefined,
  ) {
    this.#heard = heard;
    this.#changed = changed;
    let created: Promise<void> = Promise.resolve();
    this.#body = new ReadableStream<Uint8Array>({
      async start(controller) {
        created = Promise.resolve(manager.create(session, controller, { lastEventId }));
        await created;
        controller.enqueue(new TextEncoder().encode(': connected\n\n'));
      },
      cancel: async () => {
        await manager.delete(session);
      },
    });
    this.created = created;
    this.created.catch(() => this.#become('refused'));
    this.resume();
  }

  pause(): void {
    this.#reader?.releaseLock();
    this.#reader = undefined;
  }

  resume(): void {
    if (this.#reader || this.state !== 'open') return;
    this.#reader = this.#body.getReader();
    void this.#readAll(this.#reader);
  }

  async cancel(): Promise<void> {
    const reader = this.#reader ?? this.#body.getReader();
    this.#reader = undefined;
    this.#become('cancelled');
    // A body that was errored is gone already.
    await reader.cancel().catch(() => undefined);
  }

  async #readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    try {
      while (this.#reader === reader) {
        const { value, done } = await reader.read();
        if (done) return this.#become('ended');
        this.#take(new TextDecoder('utf-8', { fatal: true }).decode(value));
      }
    } catch {
      if (this.#reader === reader) this.#become('failed');
    }
  }

  #take(text: string): void {
    if (!text.endsWith('\n\n')) throw new Error('a chunk is not a whole frame');
    if (text.startsWith(':')) return;
    const frame = { id: /^id: (.*)$/m.exec(text.slice(0, 100))?.[1], label: readMessage(text) };
    this.frames.push(frame);
    this.#heard(frame);
  }

  #become(state: LineState): void {
    if (this.state !== 'open') return;
    this.state = state;
    this.#changed(state);
  }
}

/** Frames that are messages of a test, not hints. */
export function isMessage({ label }: Frame): boolean {
  return label !== HINT;
}
