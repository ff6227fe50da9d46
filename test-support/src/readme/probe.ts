import { waitFor } from '../wait-for.ts';

/** An event of an SSE stream. */
export interface ProbedEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

/** The response to a GET, read as it comes. */
export class ProbedStream implements AsyncDisposable {
  static async open(url: string, headers: Record<string, string> = {}): Promise<ProbedStream> {
    const aborter = new AbortController();
    const response = await fetch(url, {
      headers: { accept: 'text/event-stream', ...headers },
      signal: aborter.signal,
    });
    if (!response.ok || !response.body) throw new Error(`GET ${url} was answered with ${response.status}`);
    return new ProbedStream(response.body, aborter);
  }

  readonly events: ProbedEvent[] = [];
  readonly #aborter: AbortController;
  readonly #reading: Promise<void>;

  private constructor(body: ReadableStream<Uint8Array>, aborter: AbortController) {
    this.#aborter = aborter;
    this.#reading = this.#read(body).catch(() => undefined);
  }

  /** Methods of the notifications that came. */
  get methods(): string[] {
    const messages = this.events.filter(({ event }) => event === 'message');
    return messages.map(({ data }) => (JSON.parse(data) as { method: string }).method);
  }

  /** Waits for an event. */
  next(fits: (event: ProbedEvent) => boolean): Promise<ProbedEvent> {
    return waitFor(() => this.events.find(fits), {
      message: () => `an event; these came: ${JSON.stringify(this.events)}`,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborter.abort();
    await this.#reading;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      const frames = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) {
        const field = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, 'm').exec(frame)?.[1];
        const data = field('data');
        if (data !== undefined) this.events.push({ id: field('id'), event: field('event'), data });
      }
    }
  }
}

/** Says JSON-RPC to a server, as a client of the session era does. */
export async function post(url: string, session: string | undefined, message: object): Promise<Response> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
  if (!response.ok) throw new Error(`POST ${url} was answered with ${response.status}: ${await response.text()}`);
  return response;
}

/** Initializes a session. @returns its id, which is empty when the answer named none */
export async function initialize(url: string, session?: string): Promise<string> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'probe', version: '1' } };
  const response = await post(url, session, { id: 1, method: 'initialize', params });
  await response.text();
  await post(url, response.headers.get('mcp-session-id') ?? session, { method: 'notifications/initialized' });
  return response.headers.get('mcp-session-id') ?? '';
}

/** Calls a tool without arguments. @returns the answer as it came */
export async function callTool(url: string, session: string | undefined, name: string): Promise<string> {
  const response = await post(url, session, { id: 2, method: 'tools/call', params: { name, arguments: {} } });
  return response.text();
}
