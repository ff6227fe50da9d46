import { TcpProxy } from '../tcp-proxy/tcp-proxy.ts';
import { waitFor } from '../wait-for.ts';
import { Client } from './client.ts';
import { Ledger } from './ledger.ts';
import { Load, type LoadOptions } from './load.ts';
import { writeMessage } from './message.ts';
import { settle, type Verdict } from './oracle.ts';
import { RemoteNode } from './remote-node.ts';
import { Slot } from './slot.ts';
import type { Reported, StreamManager } from './stream-manager.ts';
import { LocalNode, QUICK, type TestNode } from './test-node.ts';

/** Codes that a fault of the network or the server may cause. Others say that something was lost or misjudged. */
export const OUTAGE_CODES: readonly string[] = ['unavailable', 'timeout'];

/** What a backend brings along. */
export type RigBackend<Options, Manager extends StreamManager> = {
  /** Options that every node has. */
  readonly defaults: Options;
  make(options: Options, onError: (error: Reported) => void): Manager;
  /** A program that calls `serveNode`. */
  readonly program: URL;
};

/** What one test works with: nodes, clients, and what was sent to them. At its end everything is closed. */
export class Rig<Options extends object, Manager extends StreamManager> implements AsyncDisposable {
  readonly ledger: Ledger = new Ledger();
  readonly clients: Client[] = [];
  readonly nodes: TestNode[] = [];
  readonly #backend: RigBackend<Options, Manager>;
  readonly #loads: Load[] = [];
  readonly #proxies: TcpProxy[] = [];

  constructor(backend: RigBackend<Options, Manager>) {
    this.#backend = backend;
  }

  node(options: Partial<Options> = {}): LocalNode<Manager> {
    return this.keep(new LocalNode((onError) => this.#backend.make(this.#with(options), onError)));
  }

  /** The same in a process of its own. */
  async remote(options: Partial<Options> = {}): Promise<RemoteNode> {
    return this.keep(await RemoteNode.start(this.#backend.program, this.#with(options)));
  }

  /** A place for one process after the other behind a proxy, which `options` lead to. */
  async slot(proxy: TcpProxy, options: Partial<Options>): Promise<Slot> {
    const begin = (): Promise<RemoteNode> => RemoteNode.start(this.#backend.program, this.#with(options));
    return this.keep(await Slot.start(proxy, begin));
  }

  keep<T extends TestNode>(node: T): T {
    this.nodes.push(node);
    return node;
  }

  /** A proxy that lives as long as the nodes do. */
  async proxyTo(server: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(server);
    this.#proxies.push(proxy);
    return proxy;
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
  }

  #with(options: Partial<Options>): Options {
    return { ...QUICK, ...this.#backend.defaults, ...options };
  }
}
