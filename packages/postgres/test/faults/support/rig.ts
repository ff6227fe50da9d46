import { type PostgresServer, queryOnce, TcpProxy, waitFor } from 'test-support';
import { Client } from './client.ts';
import { Ledger } from './ledger.ts';
import { Load, type LoadOptions } from './load.ts';
import { writeMessage } from './message.ts';
import { settle, type Verdict } from './oracle.ts';
import { RemoteNode } from './remote-node.ts';
import { LocalNode, type NodeOptions, type TestNode } from './test-node.ts';

/** Codes that a fault of the network or the server may cause. Others say that something was lost or misjudged. */
export const OUTAGE_CODES: readonly string[] = ['unavailable', 'timeout'];

/**
 * What one test works with: a database of its own on a server, nodes and clients. At its end everything is closed, and nothing
 * of it may be left on the server.
 */
export class Rig implements AsyncDisposable {
  static async on(server: PostgresServer): Promise<Rig> {
    return new Rig(server, await server.createDatabase());
  }

  readonly server: PostgresServer;
  /** The database, without a proxy. */
  readonly url: string;
  readonly ledger: Ledger = new Ledger();
  readonly clients: Client[] = [];
  readonly nodes: TestNode[] = [];
  readonly #loads: Load[] = [];
  readonly #proxies: TcpProxy[] = [];

  constructor(server: PostgresServer, url: string) {
    this.server = server;
    this.url = url;
  }

  node(options: NodeOptions = {}): LocalNode {
    const node = new LocalNode({ connectionString: this.url, ...options });
    return this.keep(node);
  }

  /** The same in a process of its own. */
  async remote(options: NodeOptions = {}): Promise<RemoteNode> {
    return this.keep(await RemoteNode.start({ connectionString: this.url, ...options }));
  }

  keep<T extends TestNode>(node: T): T {
    this.nodes.push(node);
    return node;
  }

  /** A proxy in front of the server, and the address of the database behind it. */
  async proxy(): Promise<{ proxy: TcpProxy; url: string }> {
    const proxy = await TcpProxy.start(this.server);
    proxy.label('listener', (chunk) => /listen "/i.test(chunk.toString('latin1')));
    this.#proxies.push(proxy);
    return { proxy, url: proxy.url(this.url) };
  }

  /** One statement as superuser, past any proxy. */
  query<Row extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return queryOnce<Row>(this.url, sql, values);
  }

  /** @param session a session of its own, unless it is given */
  client(session: string = `session-${this.clients.length + 1}`): Client {
    const client = new Client(this.ledger, session);
    this.clients.push(client);
    return client;
  }

  /** Clients with a stream each, spread over the nodes; each has read a message, so that it can name an event. */
  async connected(count: number, nodes: readonly TestNode[] = this.nodes): Promise<Client[]> {
    const clients = Array.from({ length: count }, () => this.client());
    await Promise.all(clients.map((client, i) => client.connect(nodes[i % nodes.length] as TestNode)));
    for (const node of nodes.slice(0, 1)) {
      const sessions = clients.map(({ session }) => session);
      const label = await this.publish(node, sessions);
      await waitFor(() => clients.every(({ labels }) => labels.includes(label)));
    }
    return clients;
  }

  /** Messages without an end, to all clients from all nodes. */
  load(options: Partial<LoadOptions> = {}): Load {
    const { ledger, nodes } = this;
    const load = new Load({
      ledger,
      nodes: [...nodes],
      sessions: this.clients.map(({ session }) => session),
      ...options,
    });
    this.#loads.push(load);
    return load;
  }

  /** Sends one message that must be accepted. @returns its label */
  async publish(node: TestNode, to: readonly string[] | undefined, filler = ''): Promise<string> {
    const { label, refused } = await this.ledger
      .sender()
      .send(to, (name) => node.publish(to, writeMessage(name, filler)));
    if (refused) throw new Error(`refused: ${refused}`);
    return label;
  }

  /** Publishes and waits for it, to show that a stream is live. @returns milliseconds from call to arrival */
  async reaches(client: Client, from: TestNode, timeoutMs = 15_000): Promise<number> {
    const began = performance.now();
    const label = await this.publish(from, [client.session]);
    await waitFor(() => client.labels.includes(label), {
      timeoutMs,
      intervalMs: 2,
      message: () => `${label} at ${client.session}, whose stream is ${client.line.state}`,
    });
    return performance.now() - began;
  }

  /** Waits until everything has arrived. @returns what the oracle says */
  settled(): Promise<Verdict> {
    return settle(this.ledger, this.clients);
  }

  /** Codes that were reported, except those that are allowed. */
  reportsBeside(...allowed: readonly string[]): string[] {
    return this.nodes.flatMap(({ reports }) => reports).filter((code) => !allowed.includes(code));
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies) {
      proxy.blackhole(false);
      await proxy.refuse(false);
    }
    for (const load of this.#loads) await load.stop();
    const closing = this.nodes.map((node) => node.close());
    await Promise.allSettled(closing);
    for (const proxy of this.#proxies) await proxy.close();
    await Promise.all(closing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await noConnectionIsLeft(this.url);
  }
}

/** Every connection to a database is ours: none may outlive what opened it. */
export async function noConnectionIsLeft(url: string): Promise<void> {
  const left = async (): Promise<string[]> => {
    const rows = await queryOnce<{ line: string }>(
      url,
      `select concat_ws(' ', state, left(query, 60)) as line from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    return rows.map(({ line }) => line);
  };
  let open: string[] = [];
  await waitFor(
    async () => {
      open = await left();
      return open.length === 0;
    },
    { message: () => `connections to be closed: ${open.join('; ')}` },
  );
}
