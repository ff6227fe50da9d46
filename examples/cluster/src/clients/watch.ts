import { AsyncLocalStorage } from 'node:async_hooks';

/** One HTTP request of a client, and the process that answered it. */
export type Exchange = {
  /** The JSON-RPC method of a POST, else the HTTP method. */
  readonly what: string;
  readonly process: string;
  readonly lastEventId: string | undefined;
};

/** What a client asked, and what became of it. */
export type Asked<T> = {
  readonly answer: T;
  /** The process that answered. */
  readonly process: string;
  /** When it was asked: `performance.now()`. */
  readonly at: number;
};

/** A call of a client, and the answer to the first request that it makes. */
type Call = { exchange?: Promise<Exchange> };

const calls = new AsyncLocalStorage<Call>();

/** What the transports write first once a stream is registered. */
const OPENED = /^(: connected|event: endpoint)$/m;

/**
 * Looks over the shoulder of an MCP client: which process answered which of its requests, and which holds its stream.
 * The client only takes `watch.fetch` in place of `fetch`.
 */
export class Watch {
  readonly exchanges: Exchange[] = [];
  /** Streams that were opened so far, the last one being the current one. */
  readonly streams: Exchange[] = [];

  readonly fetch = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const request = fetch(url, init);
    const answered = request.then((response) => this.#record(init, response));
    answered.catch(() => undefined); // it is the client's to handle
    const call = calls.getStore();
    if (call) call.exchange ??= answered;

    const response = await request;
    const exchange = await answered;
    if (init?.method === 'POST' || !response.ok || !response.body) return response;
    const body = response.body.pipeThrough(whenOpened(() => this.streams.push(exchange)));
    return new Response(body, response);
  };

  /** Runs one call of the client. */
  async during<T>(work: () => Promise<T>): Promise<Asked<T>> {
    const call: Call = {};
    const at = performance.now();
    const answer = await calls.run(call, work);
    // With HTTP+SSE the result comes over the stream, perhaps sooner than the response to the request.
    const process = (await call.exchange)?.process ?? 'nobody';
    return { answer, process, at };
  }

  #record(init: RequestInit | undefined, { headers }: Response): Exchange {
    const exchange = {
      what: describe(init),
      process: headers.get('x-served-by') ?? 'nobody',
      lastEventId: new Headers(init?.headers).get('last-event-id') ?? undefined,
    };
    this.exchanges.push(exchange);
    return exchange;
  }
}

function describe(init: RequestInit | undefined): string {
  if (typeof init?.body !== 'string') return init?.method ?? 'GET';
  return (JSON.parse(init.body) as { method?: string }).method ?? 'response';
}

/** Lets everything through, and tells when the stream is registered: the 200 of the transports comes before that. */
function whenOpened(opened: () => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const decoder = new TextDecoder();
  let beginning: string | undefined = '';
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      if (beginning === undefined) return;
      beginning += decoder.decode(chunk, { stream: true });
      if (!OPENED.test(beginning)) return;
      beginning = undefined;
      opened();
    },
  });
}
