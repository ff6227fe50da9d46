import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalStream } from '../../src/delivery/local-stream.ts';
import { encodeText } from '../../src/delivery/text.ts';

type Step =
  | { readonly do: 'push'; readonly bytes: number }
  | { readonly do: 'read'; readonly count: number }
  | { readonly do: 'wait' | 'probe' | 'keep alive' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), bytes: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('wait' as const, 'probe' as const, 'keep alive' as const) }),
  },
);

/** What a host did with a body before its manager had it, and at once after. */
type HandOver = { readonly highWaterMark: number; readonly wroteBefore: boolean; readonly isConnected: boolean };

const handOver: fc.Arbitrary<HandOver> = fc.oneof(
  fc.record({ highWaterMark: fc.constant(1), wroteBefore: fc.boolean(), isConnected: fc.boolean() }),
  fc.record({ highWaterMark: fc.constant(3), wroteBefore: fc.constant(false), isConnected: fc.boolean() }),
  fc.record({ highWaterMark: fc.constant(0), wroteBefore: fc.constant(false), isConnected: fc.constant(false) }),
);

/** A body and its client, with what the client has read of it. */
class Body {
  readonly stream: LocalStream;
  readonly pushed: { readonly position: number; readonly bytes: number }[] = [];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  readonly #received: string[] = [];
  /** Chunks in the queue. */
  #queued: string[] = [];
  #waiting = 0;

  constructor({ highWaterMark, wroteBefore, isConnected }: HandOver) {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (started) => {
          controller = started;
        },
      },
      { highWaterMark },
    );
    if (!controller) throw new Error('a stream starts in its constructor');
    this.#controller = controller;
    if (wroteBefore) this.#write(': first\n\n');
    this.stream = new LocalStream('session', 'claim', controller, undefined);
    this.stream.startAfter(0);
    this.#reader = body.getReader();
    // The first frame of the transport, which nobody may have read yet.
    if (isConnected) this.#write(': connected\n\n');
  }

  #write(text: string): void {
    this.#controller.enqueue(encodeText(text));
    this.#queued.push('');
  }

  async carryOut(step: Step): Promise<void> {
    switch (step.do) {
      case 'push': {
        const position = this.pushed.length + 1;
        this.pushed.push({ position, bytes: step.bytes });
        expect(this.stream.push(position, new Uint8Array(step.bytes))).toBe(true);
        this.#enqueued(String(position));
        break;
      }
      case 'read':
        for (let n = 0; n < step.count && this.#queued.length > 0; n += 1) await this.#read();
        break;
      case 'wait':
        if (this.#queued.length > 0) break;
        this.#waiting += 1;
        void this.#reader.read().catch(() => undefined);
        break;
      case 'probe':
        expect(this.stream.isDead()).toBe(false);
        this.#enqueued('');
        break;
      case 'keep alive':
        this.stream.keepAlive(0);
        if (this.#queued.length === 0) this.#enqueued('');
        break;
    }
    await Promise.resolve();
  }

  async #read(): Promise<void> {
    await this.#reader.read();
    this.#received.push(this.#queued.shift() ?? '');
  }

  /** A client that waits takes it at once. */
  #enqueued(chunk: string): void {
    if (this.#waiting > 0) {
      this.#waiting -= 1;
      this.#received.push(chunk);
    } else {
      this.#queued.push(chunk);
    }
  }

  get unreadBytes(): number {
    return this.#queued.reduce((sum, chunk) => sum + (this.pushed[Number(chunk) - 1]?.bytes ?? 0), 0);
  }

  /** Position of the last frame that the client has. */
  get received(): number {
    return Math.max(0, ...this.#received.map(Number));
  }

  get isQueueEmpty(): boolean {
    return this.#queued.length === 0;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }

  error(): void {
    this.#controller.error(new Error('by the transport'));
  }
}

async function run(steps: readonly Step[], handOver: HandOver): Promise<Body> {
  const body = new Body(handOver);
  if (handOver.highWaterMark === 0) {
    // It shows when the client takes a frame for which it has waited.
    await body.carryOut({ do: 'wait' });
    await body.carryOut({ do: 'push', bytes: 1 });
  }
  for (const step of steps) {
    await body.carryOut(step);
    expect(body.stream.unreadBytes()).toBe(body.unreadBytes);
    expect(body.stream.isUnread()).toBe(!body.isQueueEmpty);
  }
  return body;
}

describe('a local stream', () => {
  const steps = fc.array(step, { maxLength: 30 });

  it('local-stream/exact: however its client reads, it knows to the frame what the client has', async () => {
    await fc.assert(
      fc.asyncProperty(steps, handOver, async (steps, handOver) => {
        const body = await run(steps, handOver);
        const reached = body.pushed.length + 5;
        const isEmpty = body.isQueueEmpty;
        const { detach, sent } = body.stream.finish(reached);
        expect(sent).toBe(body.received);
        expect(detach).toBe(isEmpty ? reached : body.received);
        expect(body.stream.push(reached + 1, new Uint8Array(1))).toBe(false);
        expect(body.stream.isDead()).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('local-stream/gone: a stream that its client or its transport ended is dead, and says how far it got', async () => {
    await fc.assert(
      fc.asyncProperty(steps, handOver, fc.boolean(), async (steps, handOver, byClient) => {
        const body = await run(steps, handOver);
        if (byClient) await body.cancel();
        else body.error();
        expect(body.stream.isDead()).toBe(true);
        expect(body.stream.push(99, new Uint8Array(1))).toBe(false);
        const reached = body.pushed.length + 5;
        expect(body.stream.abandon(reached)).toEqual({ detach: reached, sent: body.pushed.length });
      }),
      { numRuns: 200 },
    );
  });
});
