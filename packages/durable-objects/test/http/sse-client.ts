import type { Worker } from './rig.ts';

export type SseEvent = { readonly id: string | undefined; readonly event: string | undefined; readonly data: string };

type Waiter = { readonly isMet: () => boolean; readonly done: () => void };

/** A client that reads an SSE response until it drops it. */
export class SseClient {
  readonly events: SseEvent[] = [];
  /** Everything that was received, comments too. */
  text = '';
  /** The response has ended, by itself or because the client dropped it. */
  ended = false;
  /** It ended before its end had come: it was cut off, or errored by the server. */
  broken = false;
  readonly #abort = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #rest = '';

  /** Sends a request, GET unless said otherwise, and reads its response. */
  static async open(worker: Worker, path: string, init: RequestInit = {}): Promise<SseClient> {
    const client = new SseClient();
    const headers = { accept: 'text/event-stream', ...init.headers };
    const response = await worker.fetch(`http://test${path}`, { ...init, headers, signal: client.#abort.signal });
    if (response.status !== 200) throw new Error(`a stream was refused with ${response.status}`);
    void client.#read(response.body as unknown as ReadableStream<Uint8Array>);
    return client;
  }

  get data(): string[] {
    return this.events.map(({ data }) => data);
  }

  get lastEventId(): string {
    return this.events.findLast(({ id }) => id !== undefined)?.id ?? '';
  }

  /** The transport's first frame is out. */
  connected(): Promise<void> {
    return this.until(() => this.text.includes(': connected\n\n'), 'the first frame');
  }

  receives(count: number): Promise<void> {
    return this.until(() => this.events.length >= count, `${count} messages`);
  }

  /** Waits for an event whose data holds some text. */
  async hears(text: string): Promise<void> {
    await this.until(() => this.events.some(({ data }) => data.includes(text)), `a message with ${text}`);
  }

  ends(): Promise<void> {
    return this.until(() => this.ended, 'the end of the response');
  }

  /** Waits until something holds of what has come; it is looked at when more comes. */
  until(isMet: () => boolean, what: string, ms = 20_000): Promise<void> {
    if (isMet()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        isMet,
        done: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const last = this.text.slice(-200);
        reject(new Error(`waited in vain for ${what}; there were ${this.events.length} messages, the last: ${last}`));
      }, ms);
      this.#waiters.add(waiter);
    });
  }

  /** The client goes away. What still reaches it is not received: it would not tell the server of it either. */
  drop(): void {
    this.#abort.abort();
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body) {
        if (this.#abort.signal.aborted) break;
        this.#take(decoder.decode(chunk, { stream: true }));
        this.#look();
      }
    } catch {
      // Whether it was dropped, cut off or errored by the server: nothing more comes.
      this.broken = !this.#abort.signal.aborted;
    }
    this.ended = true;
    this.#look();
  }

  #take(text: string): void {
    this.text += text;
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => split(line)));
      const data = fields.get('data');
      if (data !== undefined) this.events.push({ id: fields.get('id'), event: fields.get('event'), data });
    }
  }

  #look(): void {
    for (const waiter of this.#waiters) if (waiter.isMet()) waiter.done();
  }
}

/** `name: value` as its two parts. */
function split(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 2)];
}
