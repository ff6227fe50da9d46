import { encodeText } from '../../src/delivery/text.ts';
import type { TestNode } from './world.ts';

export type Frame = { readonly id: string | undefined; readonly data: string; readonly time: number };

/** A GET as the transports serve it, and what its client reads. */
export class Connection {
  readonly session: string;
  readonly node: TestNode;
  readonly lastEventId: string | undefined;
  readonly frames: Frame[] = [];
  /** Id that the stream's claim has in the log. */
  readonly claim: string;
  /** Whether `create` succeeded; `undefined` while it runs. */
  created: boolean | undefined;
  state: 'open' | 'closed' | 'errored' | 'cancelled' = 'open';
  readonly openedAt: number;
  /** When the client saw the end. */
  endedAt: number | undefined;
  /** The client has turned away: what still comes is not received. */
  deaf = false;
  /** The last event that came nevertheless. */
  swallowed: string | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #paused = false;
  #resume: (() => void) | undefined;
  #connected = false;

  constructor(node: TestNode, session: string, lastEventId?: string) {
    this.node = node;
    this.session = session;
    this.lastEventId = lastEventId;
    this.openedAt = node.world.time.now;
    // As in the transports: the stream is registered while it starts, then the first comment flushes the headers.
    const stream = node.world.time.as(
      node.name,
      () =>
        new ReadableStream<Uint8Array>({
          start: async (controller) => {
            try {
              await node.run('create', () => node.manager.create(session, controller, { lastEventId }));
              this.created = true;
            } catch (error) {
              this.created = false;
              throw error;
            }
            controller.enqueue(encodeText(': connected\n\n'));
          },
          cancel: () => node.run('delete', () => node.manager.delete(session)),
        }),
    );
    this.claim = node.lastClaim ?? '';
    this.#reader = stream.getReader();
    void this.#read();
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  get lastId(): string | undefined {
    return this.frames.findLast(({ id }) => id !== undefined)?.id;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#resume?.();
  }

  /** The client closes the connection, and the server notices. */
  cancel(): void {
    if (!this.isOpen) return;
    this.state = 'cancelled';
    this.#reader.cancel().catch(() => undefined);
  }

  async #read(): Promise<void> {
    try {
      while (true) {
        if (this.#paused) {
          await new Promise<void>((resolve) => {
            this.#resume = resolve;
          });
        }
        const { done, value } = await this.#reader.read();
        if (done) break;
        this.#take(new TextDecoder().decode(value));
      }
      if (this.state === 'open') this.state = 'closed';
    } catch {
      if (this.state === 'open') this.state = 'errored';
    }
    this.endedAt = this.node.world.time.now;
  }

  #take(chunk: string): void {
    if (chunk === ': connected\n\n') this.#connected = true;
    if (chunk === '' || chunk.startsWith(':')) return;
    if (!this.#connected) throw new Error('a frame came before the first one of the transport');
    const id = /^id: (.*)$/m.exec(chunk)?.[1];
    if (this.deaf) {
      this.swallowed = id;
      return;
    }
    const data = /^data: (.*)$/m.exec(chunk)?.[1] ?? '';
    this.frames.push({ id, data, time: this.node.world.time.now });
  }
}

/** The number of a message of `World.publish`; `undefined` for a hint. */
export function messageNumber({ data }: Frame): number | undefined {
  const match = /^(\d+) /.exec(data);
  return match ? Number(match[1]) : undefined;
}
