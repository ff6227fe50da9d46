import { type SseFrame, SseParser } from '../../src/testing/sse-frames.ts';
import { until } from '../../src/testing/until.ts';

type Transport = { respond(request: Request): Promise<Response | null> };
type Message = { id?: unknown; method?: string; params?: Record<string, unknown>; result?: Record<string, unknown> };

const CLIENT = {
  protocolVersion: '2025-06-18',
  capabilities: { elicitation: {} },
  clientInfo: { name: 'client-7', version: '1' },
};
const PER_REQUEST = '2026-07-28';

export async function respond(transport: Transport, request: Request): Promise<Response> {
  const response = await transport.respond(request);
  if (!response) throw new Error('the transport does not know this path');
  return response;
}

export function request(method: string, path: string, sessionId?: string, body?: unknown): Request {
  return new Request(`http://localhost${path}`, {
    method,
    headers: {
      accept: 'application/json, text/event-stream',
      ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** Initializes a session. @returns its id */
export async function initialize(transport: Transport): Promise<string> {
  const body = { jsonrpc: '2.0', id: 1, method: 'initialize', params: CLIENT };
  const response = await respond(transport, request('POST', '/mcp', undefined, body));
  await response.text();
  const sessionId = response.headers.get('mcp-session-id');
  if (!sessionId) throw new Error('no session id was given');
  return sessionId;
}

/** Calls a method over POST. @returns the result in the response */
export async function call(
  transport: Transport,
  sessionId: string,
  method: string,
  params: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const body = { jsonrpc: '2.0', id: 2, method, params };
  const response = await respond(transport, request('POST', '/mcp', sessionId, body));
  const messages = messagesOf(new SseParser().push(new Uint8Array(await response.arrayBuffer())));
  const result = messages.find(({ id }) => id === 2)?.result;
  if (!result) throw new Error(`no result: ${JSON.stringify(messages)}`);
  return result;
}

/** Opens a `subscriptions/listen` stream of the 2026-07-28 protocol. */
export async function listen(transport: Transport, notifications: Record<string, unknown>): Promise<OpenStream> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': PER_REQUEST,
    'io.modelcontextprotocol/clientInfo': CLIENT.clientInfo,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const params = { notifications, _meta: meta };
  const posted = request('POST', '/mcp', undefined, {
    jsonrpc: '2.0',
    id: 'listen',
    method: 'subscriptions/listen',
    params,
  });
  posted.headers.set('mcp-protocol-version', PER_REQUEST);
  posted.headers.set('mcp-method', 'subscriptions/listen');
  return new OpenStream(await respond(transport, posted));
}

/** A response that stays open, and what came over it. */
export class OpenStream {
  readonly response: Response;
  readonly frames: SseFrame[] = [];
  ended = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(response: Response) {
    this.response = response;
    if (!response.body) throw new Error(`a response of status ${response.status} without a body`);
    this.#reader = response.body.getReader();
    void this.#read();
  }

  get messages(): Message[] {
    return messagesOf(this.frames);
  }

  get methods(): string[] {
    return this.messages.map(({ method, id }) => method ?? `result of ${id}`);
  }

  async receives(method: string): Promise<Message> {
    return until(
      () => this.messages.find((message) => message.method === method || `result of ${message.id}` === method),
      () => `${method}; until now there was ${this.methods.join(', ')}`,
    );
  }

  async ends(): Promise<void> {
    await until(() => this.ended, 'the end of a response');
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }

  async #read(): Promise<void> {
    const parser = new SseParser();
    for (;;) {
      const { value, done } = await this.#reader.read().catch(() => ({ value: undefined, done: true }));
      if (done || !value) break;
      this.frames.push(...parser.push(value));
    }
    this.ended = true;
  }
}

function messagesOf(frames: readonly SseFrame[]): Message[] {
  return frames.flatMap(({ event, data }) =>
    data === undefined || (event !== undefined && event !== 'message') ? [] : [JSON.parse(data) as Message],
  );
}
