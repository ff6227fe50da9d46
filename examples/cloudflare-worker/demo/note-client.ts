import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { waitFor } from 'test-support';

export const ALL_NOTES = 'notes://all';

type Notification = { readonly method: string; readonly params?: Record<string, unknown> | undefined };

/** What the tool `whoami` answers. */
export type WhoAmI = {
  readonly sessionId: string;
  readonly watchesNotes: boolean;
  readonly clientInfo?: { readonly name: string };
};

/** A notification stream that the client opened. */
type Opened = {
  readonly lastEventId: string | undefined;
  /** In good order, or broken off. */
  end: 'none' | 'good' | 'broken';
};

/** The official client, as it is. What surrounds it watches its streams and keeps the notifications that came. */
export class NoteClient implements AsyncDisposable {
  static async connect(name: string, url: URL | string): Promise<NoteClient> {
    const client = new NoteClient(name, new URL(url));
    // Its `sessionId` may be undefined, which the interface that it implements does not say.
    await client.sdk.connect(client.#transport as Transport);
    await waitFor(() => client.streams.length > 0, { message: `the stream of ${name}` });
    return client;
  }

  readonly name: string;
  readonly sdk: Client;
  /** In the order in which they came. */
  readonly notifications: Notification[] = [];
  /** In the order in which they were opened. */
  readonly streams: Opened[] = [];
  readonly #transport: StreamableHTTPClientTransport;

  private constructor(name: string, url: URL) {
    this.name = name;
    this.sdk = new Client({ name, version: '1.0.0' });
    this.sdk.fallbackNotificationHandler = async (notification) => void this.notifications.push(notification);
    // A stream that breaks off is told here, and the client comes back by itself.
    this.sdk.onerror = () => undefined;
    this.#transport = new StreamableHTTPClientTransport(url, {
      fetch: (target, init) => this.#watch(target, init),
      // By itself it gives up after two attempts.
      reconnectionOptions: {
        initialReconnectionDelay: 500,
        maxReconnectionDelay: 2_000,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries: 1_000,
      },
    });
  }

  get sessionId(): string {
    return this.#transport.sessionId ?? 'none';
  }

  get protocolVersion(): string {
    return this.#transport.protocolVersion ?? 'none';
  }

  /** @returns the text of the tool's answer */
  async callTool(name: string, args: Record<string, unknown> = {}): Promise<string> {
    const { content, isError } = await this.sdk.callTool({ name, arguments: args });
    const [first] = content as { readonly text?: string }[];
    if (isError) throw new Error(`The tool ${name} failed: ${first?.text}`);
    return first?.text ?? '';
  }

  async whoAmI(): Promise<WhoAmI> {
    return JSON.parse(await this.callTool('whoami')) as WhoAmI;
  }

  async readNotes(): Promise<string[]> {
    const { contents } = await this.sdk.readResource({ uri: ALL_NOTES });
    const [first] = contents;
    return first && 'text' in first ? first.text.split('\n') : [];
  }

  /** What comes from now on. */
  listen(): Heard {
    return new Heard(this.name, this.notifications, this.notifications.length);
  }

  /** Sends the DELETE. */
  endSession(): Promise<void> {
    return this.#transport.terminateSession();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sdk.close();
  }

  async #watch(target: URL | string, init?: RequestInit): Promise<Response> {
    const response = await fetch(target, init);
    if (init?.method !== 'GET' || !response.ok || !response.body) return response;
    const stream: Opened = { lastEventId: new Headers(init.headers).get('last-event-id') ?? undefined, end: 'none' };
    const { readable, writable } = whenConnected(() => this.streams.push(stream));
    const ended = (end: Opened['end']) => (): void => {
      stream.end = end;
    };
    response.body.pipeTo(writable).then(ended('good'), ended('broken'));
    return new Response(readable, response);
  }
}

/** What a client heard after a certain moment. */
export class Heard {
  readonly #client: string;
  readonly #all: readonly Notification[];
  readonly #start: number;

  constructor(client: string, all: readonly Notification[], start: number) {
    this.#client = client;
    this.#all = all;
    this.#start = start;
  }

  of(method: string): Notification[] {
    return this.#all.slice(this.#start).filter((notification) => notification.method === method);
  }

  async first(method: string): Promise<void> {
    await waitFor(() => this.of(method).length > 0, {
      intervalMs: 1,
      timeoutMs: 30_000,
      message: () => `${method}, which ${this.#client} should hear`,
    });
  }

  /** The numbers under which `import-notes` reported its notes, in the order in which they came. */
  imported(): number[] {
    return this.of('notifications/message').map(
      ({ params }) => (params?.data as { imported?: number } | undefined)?.imported ?? 0,
    );
  }
}

/** Lets everything through, and tells when the stream is registered: the 200 comes before that. */
function whenConnected(connected: () => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const decoder = new TextDecoder();
  let beginning: string | undefined = '';
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      if (beginning === undefined) return;
      beginning += decoder.decode(chunk, { stream: true });
      // What the transport writes first.
      if (!beginning.includes(': connected\n')) return;
      beginning = undefined;
      connected();
    },
  });
}
