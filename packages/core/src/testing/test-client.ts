import { expect } from 'vitest';
import type { StreamSessionManager } from '../stream-session-manager.ts';
import { frame } from './messages.ts';
import { TestStream, type TestStreamOptions } from './test-stream.ts';
import { until } from './until.ts';

export type ConnectOptions = TestStreamOptions & {
  /**
   * Names the last event that was read. The streams before are abandoned first: a client that names an event does not
   * read on elsewhere.
   */
  readonly resume?: boolean;
};

type Sender = { publish(sessions: readonly string[] | undefined, data: string): Promise<void> };

const MARKER = 'marker ';
let markers = 0;

/**
 * One session over all the streams it had. The oracle of the kit: what they received, one after the other, is exactly
 * what was accepted for the session since its first stream, each message once, in order.
 */
export class TestClient {
  readonly session: string;
  /** In the order in which they were opened. */
  readonly streams: TestStream[] = [];

  constructor(session: string) {
    this.session = session;
  }

  get stream(): TestStream {
    const newest = this.streams.at(-1);
    if (!newest) throw new Error('the client has not connected yet');
    return newest;
  }

  /** Everything that was received, without markers. */
  get labels(): string[] {
    return this.streams.flatMap((stream) => stream.labels).filter((label) => !label.startsWith(MARKER));
  }

  get lastEventId(): string | undefined {
    return this.streams.findLast((stream) => stream.lastEventId !== undefined)?.lastEventId;
  }

  /** Opens a stream, and does not wait for its `create`. */
  open(manager: StreamSessionManager, { resume = false, ...options }: ConnectOptions = {}): TestStream {
    if (resume) for (const stream of this.streams) stream.abandon();
    const lastEventId = options.lastEventId ?? (resume ? this.lastEventId : undefined);
    const stream = new TestStream(manager, this.session, { ...options, lastEventId });
    this.streams.push(stream);
    return stream;
  }

  /** Opens a stream; resolves as its `create` does. */
  async connect(manager: StreamSessionManager, options?: ConnectOptions): Promise<TestStream> {
    const stream = this.open(manager, options);
    await stream.created;
    return stream;
  }

  /** Waits until a stream, or else the one that is the newest then, has received a message. */
  async receives(label: string, stream?: TestStream): Promise<void> {
    await until(
      () => (stream ?? this.stream).labels.includes(label),
      () => `${label} on a stream of ${this.session} that is ${this.stream.state}; received: ${this.labels.join(', ')}`,
    );
  }

  /**
   * Everything received is exactly this. A marker is sent and awaited first: as order is kept, nothing that was
   * accepted before it can still come.
   */
  async hasExactly(sender: Sender, expected: readonly string[]): Promise<void> {
    await this.drain(sender);
    expect(this.labels).toEqual(expected);
  }

  /** Waits until everything that was accepted before has been received. */
  async drain(sender: Sender): Promise<void> {
    markers += 1;
    const marker = `${MARKER}${markers}`;
    await sender.publish([this.session], frame(marker));
    await this.receives(marker);
  }
}
