import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { waitFor } from 'test-support';
import type { Cluster } from '../cluster.ts';
import { Inbox } from './inbox.ts';
import { type AskOptions, assertAnsweredByOther, passTurns } from './turn.ts';
import { type Asked, Watch } from './watch.ts';

export type TransportKind = 'http' | 'sse';

export const CLIENT_INFO = { name: 'cluster-demo', version: '1.2.3' } as const;

/**
 * The official client of the session era (`@modelcontextprotocol/sdk`), as it is. It talks to the load balancer only;
 * what surrounds it here watches which process does what.
 */
export class SessionClient implements AsyncDisposable {
  static async connect(cluster: Cluster, kind: TransportKind): Promise<SessionClient> {
    const session = new SessionClient(cluster, kind);
    await session.client.connect(session.#transport());
    await waitFor(() => session.watch.streams.length > 0, { message: 'the stream of the client' });
    return session;
  }

  readonly kind: TransportKind;
  readonly client: Client = new Client(CLIENT_INFO, {
    capabilities: { elicitation: {}, roots: { listChanged: true } },
  });
  readonly watch: Watch = new Watch();
  readonly inbox: Inbox = new Inbox();
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster, kind: TransportKind) {
    this.#cluster = cluster;
    this.kind = kind;
    this.client.fallbackNotificationHandler = async (notification) => this.inbox.add(notification);
    // A stream that breaks off is told here, and the client reconnects by itself.
    this.client.onerror = () => undefined;
  }

  /** The process that answered `initialize`. */
  get initializedBy(): string {
    return this.watch.exchanges.find(({ what }) => what === 'initialize')?.process ?? 'nobody';
  }

  /** The process that holds the client's stream. */
  get streamHeldBy(): string {
    return this.watch.streams.at(-1)?.process ?? 'nobody';
  }

  /** Makes a call of the client, when it is the turn of a process that may answer. */
  async ask<T>(call: (client: Client) => Promise<T>, options: AskOptions = {}): Promise<Asked<T>> {
    await passTurns(this.#cluster, options);
    const asked = await this.watch.during(() => call(this.client));
    assertAnsweredByOther(asked.process, options);
    return asked;
  }

  /** Calls a tool. @returns the text of its answer */
  async callTool(name: string, args: Record<string, unknown> = {}, options?: AskOptions): Promise<Asked<string>> {
    return this.ask(async (client) => {
      const result = await client.callTool({ name, arguments: args });
      const [first] = result.content as { readonly text?: string }[];
      if (result.isError) throw new Error(`The tool ${name} failed: ${first?.text}`);
      return first?.text ?? '';
    }, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }

  #transport(): Transport {
    const { fetch } = this.watch;
    if (this.kind === 'sse') {
      // An EventSource comes back to the address it was opened with: with the session in it, to its session.
      return new SSEClientTransport(new URL(`/sse?session_id=${randomUUID()}`, this.#cluster.url), { fetch });
    }
    // By itself it gives up after two attempts.
    const reconnectionOptions = {
      initialReconnectionDelay: 500,
      maxReconnectionDelay: 2_000,
      reconnectionDelayGrowFactor: 1.5,
      maxRetries: 20,
    };
    const transport = new StreamableHTTPClientTransport(new URL('/mcp', this.#cluster.url), {
      fetch,
      reconnectionOptions,
    });
    // Its `sessionId` may be undefined, which the interface that it implements does not say.
    return transport as Transport;
  }
}
