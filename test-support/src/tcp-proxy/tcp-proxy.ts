import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type Deferred, deferred } from '../deferred.ts';
import { freePort } from '../free-port.ts';
import { type Blackhole, type Direction, ProxiedConnection } from './proxied-connection.ts';

/** Looks at a chunk of bytes as it arrived from the network: usually, but not surely, a whole request or answer. */
export type Match = (chunk: Buffer) => boolean;

interface Swallow {
  readonly isRequest: Match;
  readonly isAnswer: Match;
  readonly done: Deferred<void>;
  /** The connection whose next answer is dropped, once a request has matched. */
  connection?: ProxiedConnection;
}

/** A proxy on a loopback port in front of a server, which misbehaves when told to. */
export class TcpProxy implements AsyncDisposable {
  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, await freePort());
    await proxy.refuse(false);
    return proxy;
  }

  readonly host: string = '127.0.0.1';
  readonly port: number;
  #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #connections: Set<ProxiedConnection> = new Set();
  readonly #labels: Map<string, Match> = new Map();
  readonly #swallows: Set<Swallow> = new Set();
  #accepted = 0;
  #delayMs = 0;
  #blackhole: Blackhole = false;

  private constructor(target: { readonly host: string; readonly port: number }, port: number) {
    this.port = port;
    this.#target = { host: target.host, port: target.port };
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accepted += 1;
      const connection = new ProxiedConnection(this.#accepted, client, this.#target, {
        delayMs: () => this.#delayMs,
        blackhole: () => this.#blackhole,
        inspect: (from, direction, chunk) => this.#inspect(from, direction, chunk),
      });
      this.#connections.add(connection);
      void connection.closed.then(() => this.#forget(connection));
    });
  }

  /** The same address, by way of the proxy. */
  url(original: string | URL): string {
    const url = new URL(original);
    url.hostname = this.host;
    url.port = String(this.port);
    return url.href;
  }

  /** The open connections, oldest first. */
  get connections(): readonly ProxiedConnection[] {
    return [...this.#connections];
  }

  /** How many connections have ever been accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /**
   * From now on puts `label` on every connection on which the client sends a matching chunk.
   *
   * @example
   * proxy.label('listener', (chunk) => chunk.includes('LISTEN'));
   * proxy.cut((connection) => connection.labels.has('listener'));
   */
  label(label: string, match: Match): void {
    this.#labels.set(label, match);
  }

  /** Resets the connections that fit. @returns how many these were. */
  cut(fits: (connection: ProxiedConnection) => boolean): number {
    const chosen = this.connections.filter(fits);
    for (const connection of chosen) connection.destroy();
    return chosen.length;
  }

  /** Resets every connection. @returns how many these were. */
  cutAll(): number {
    return this.cut(() => true);
  }

  /** Whether new connections are refused (ECONNREFUSED); open ones stay as they are. */
  async refuse(refuse: boolean): Promise<void> {
    if (refuse !== this.#server.listening) return;
    if (refuse) {
      // Its callback would wait for the open connections.
      this.#server.close();
    } else {
      this.#server.listen(this.port, this.host);
      await once(this.#server, 'listening');
    }
  }

  /** From now on new connections lead to another server; open ones stay, as with a balancer that leaves them alone. */
  leadTo({ host, port }: { readonly host: string; readonly port: number }): void {
    this.#target = { host, port };
  }

  /**
   * A network that swallows packets: nothing passes in that direction, on no connection, new ones included, not even the end
   * of a connection. With `false` it heals, and what was held back passes.
   */
  blackhole(blackhole: Blackhole): void {
    this.#blackhole = blackhole;
    this.#flush();
  }

  /** Makes every chunk arrive this much later, in both directions. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /**
   * Lets the next matching request through, waits for the server's answer (it was executed), drops that answer and resets
   * the connection.
   *
   * @param isAnswer - for connections on which the server also speaks unasked; otherwise any bytes after the request will do.
   * @returns a promise that resolves when this has happened, and rejects when the connection is lost before the answer.
   */
  swallowAnswerAfter(isRequest: Match, isAnswer: Match = () => true): Promise<void> {
    const swallow: Swallow = { isRequest, isAnswer, done: deferred() };
    this.#swallows.add(swallow);
    return swallow.done.promise;
  }

  /** Resets every connection and stops listening. */
  async close(): Promise<void> {
    await this.refuse(true);
    const open = this.connections;
    this.cutAll();
    await Promise.all(open.map((connection) => connection.closed));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #inspect(connection: ProxiedConnection, direction: Direction, chunk: Buffer): boolean {
    if (direction === 'up') {
      this.#read(connection, chunk);
      return true;
    }
    const swallow = [...this.#swallows].find((one) => one.connection === connection && one.isAnswer(chunk));
    if (swallow === undefined) return true;
    this.#swallows.delete(swallow);
    connection.destroy();
    swallow.done.resolve();
    return false;
  }

  #read(connection: ProxiedConnection, request: Buffer): void {
    for (const [label, match] of this.#labels) {
      if (match(request)) connection.labels.add(label);
    }
    for (const swallow of this.#swallows) {
      if (swallow.connection === undefined && swallow.isRequest(request)) swallow.connection = connection;
    }
  }

  #forget(connection: ProxiedConnection): void {
    this.#connections.delete(connection);
    for (const swallow of this.#swallows) {
      if (swallow.connection !== connection) continue;
      this.#swallows.delete(swallow);
      swallow.done.reject(new Error('The connection was lost before the server had answered'));
    }
  }

  #flush(): void {
    for (const connection of this.#connections) connection.flush();
  }
}
