import { deferred } from 'test-support';
import type { WorkerHandle } from 'wrangler';
import { readAll } from '../client-stream.ts';

const NUMBER = /"n":"(\d+)"/;

/** A client that reads one SSE response. */
export class SseClient {
  /** Resolves when the response has begun: its session is attached. @throws when it was refused */
  static async open(worker: WorkerHandle, path: string, lastEventId?: string): Promise<SseClient> {
    const client = new SseClient();
    const response = await worker.fetch(`http://bench${path}`, {
      headers: { accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) },
      signal: client.#abort.signal,
    });
    if (!response.ok || !response.body) throw new Error(`a stream was refused: ${await response.text()}`);
    client.#read(response.body as unknown as ReadableStream<Uint8Array>);
    await client.#connected.promise;
    return client;
  }

  /** The numbers of the frames that came. */
  readonly numbers: number[] = [];
  lastEventId: string | undefined;
  /** Called for each frame. */
  onFrame: ((number: number) => void) | undefined;
  readonly #abort = new AbortController();
  readonly #connected = deferred<void>();
  readonly #ended = deferred<void>();
  #rest = '';

  /** Resolves when the response has ended, whoever ended it. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The client goes away. */
  drop(): void {
    this.#abort.abort();
  }

  #read(body: ReadableStream<Uint8Array>): void {
    const decoder = new TextDecoder();
    const over = (): void => {
      this.#connected.reject(new Error('a response ended before it began'));
      this.#ended.resolve();
    };
    // A response that breaks off is one that ended.
    readAll(body, (chunk) => this.#take(decoder.decode(chunk, { stream: true }))).then(over, over);
  }

  #take(text: string): void {
    const events = (this.#rest + text).split('\n\n');
    this.#rest = events.pop() ?? '';
    for (const event of events) {
      if (event === ': connected') this.#connected.resolve();
      const number = NUMBER.exec(event)?.[1];
      if (number === undefined) continue;
      this.lastEventId = /^id: (.+)$/m.exec(event)?.[1] ?? this.lastEventId;
      this.numbers.push(Number(number));
      this.onFrame?.(Number(number));
    }
  }
}
