import { Client, type McpSubscription, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { Cluster } from '../cluster.ts';
import { Inbox } from './inbox.ts';
import { CLIENT_INFO } from './session-client.ts';
import { type AskOptions, assertAnsweredByOther, passTurns } from './turn.ts';
import { type Asked, Watch } from './watch.ts';

/**
 * The official client of the protocol 2026-07-28 (`@modelcontextprotocol/client`). It has no session: each request says
 * everything, and changes come over the response to `subscriptions/listen`, which stays open.
 */
export class ListenClient implements AsyncDisposable {
  static async connect(cluster: Cluster): Promise<ListenClient> {
    const listening = new ListenClient(cluster);
    const { fetch } = listening.watch;
    await listening.client.connect(new StreamableHTTPClientTransport(new URL('/mcp', cluster.url), { fetch }));
    return listening;
  }

  readonly client: Client = new Client(CLIENT_INFO, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
  readonly watch: Watch = new Watch();
  readonly inbox: Inbox = new Inbox();

  readonly #cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.client.fallbackNotificationHandler = async (notification) => this.inbox.add(notification);
    this.client.onerror = () => undefined;
  }

  /** Listens to changes of the list of prompts, of the list of resources, and of all notes. */
  async listen(): Promise<Asked<McpSubscription>> {
    return this.watch.during(() =>
      this.client.listen({
        promptsListChanged: true,
        resourcesListChanged: true,
        resourceSubscriptions: ['notes://all'],
      }),
    );
  }

  async callTool(name: string, args: Record<string, unknown>, options: AskOptions): Promise<Asked<unknown>> {
    await passTurns(this.#cluster, options);
    const asked = await this.watch.during(() => this.client.callTool({ name, arguments: args }));
    assertAnsweredByOther(asked.process, options);
    if (asked.answer.isError) throw new Error(`The tool ${name} failed`);
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}
