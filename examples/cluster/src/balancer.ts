import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A process that requests can go to. */
type Target = { readonly name: string; readonly port: number; healthy: boolean };

/** Headers that belong to one connection, not to the message. */
const HOP_BY_HOP: readonly string[] = ['connection', 'keep-alive', 'transfer-encoding'];

const HEALTH_CHECK_MS = 500;

/**
 * A load balancer that makes it as hard as possible: no sticky sessions, each request to the next process, also those
 * that come over one connection. A process that refuses connections, or says that it is not healthy, is passed over
 * until it is healthy again.
 */
export class Balancer {
  /** @param port 0 takes a free one */
  static async start(port: number): Promise<Balancer> {
    const balancer = new Balancer();
    balancer.#server.listen(port, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: false });
  readonly #healthChecks: NodeJS.Timeout;
  #targets: Target[] = [];

  private constructor() {
    this.#server = createServer((incoming, outgoing) => void this.#handle(incoming, outgoing));
    this.#healthChecks = setInterval(() => void this.#checkHealth(), HEALTH_CHECK_MS);
    this.#healthChecks.unref();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The process that gets the next request. */
  get next(): string | undefined {
    return this.#candidates()[0]?.name;
  }

  add(name: string, port: number): void {
    this.#targets.push({ name, port, healthy: true });
  }

  remove(name: string): void {
    this.#targets = this.#targets.filter((target) => target.name !== name);
  }

  async close(): Promise<void> {
    clearInterval(this.#healthChecks);
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Those that may get the next request, in turn. When none seems healthy it is better to try than to give up. */
  #candidates(): Target[] {
    const healthy = this.#targets.filter((target) => target.healthy);
    return healthy.length > 0 ? healthy : [...this.#targets];
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    // Read first: MCP requests are small, and a process that refuses the connection leaves its request to the next.
    const body = await buffer(incoming).catch(() => undefined);
    if (!body) return; // the client has gone
    for (const target of this.#candidates()) {
      if (!this.#targets.includes(target)) continue; // it was removed meanwhile
      // To the end of the queue.
      this.#targets = [...this.#targets.filter((other) => other !== target), target];
      const outcome = await this.#forward(target, incoming, body, outgoing);
      if (outcome === 'answered') return;
      target.healthy = false;
      // It may have acted on the request before it died: only what changes nothing can be asked again.
      if (outcome === 'broken' && incoming.method !== 'GET') break;
    }
    outgoing.writeHead(502).end();
  }

  /**
   * - `answered`: the response is on its way, or the client has gone
   * - `refused`: the process never saw the request
   * - `broken`: the connection broke before there was an answer
   */
  #forward(
    target: Target,
    { method, url, headers }: IncomingMessage,
    body: Buffer,
    outgoing: ServerResponse,
  ): Promise<'answered' | 'refused' | 'broken'> {
    return new Promise((resolve) => {
      const { port } = target;
      const forwarded = request({
        host: '127.0.0.1',
        port,
        method,
        path: url,
        headers: endToEnd(headers),
        agent: this.#agent,
      });
      outgoing.once('close', () => {
        forwarded.destroy();
        resolve('answered');
      });
      forwarded.once('response', (answer) => {
        resolve('answered');
        outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
        // The headers of a stream must not wait for its first event.
        outgoing.flushHeaders();
        // A stream that broke off must not look as if it had ended.
        answer.once('error', () => outgoing.destroy());
        answer.pipe(outgoing);
      });
      forwarded.on('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'broken'),
      );
      forwarded.end(body);
    });
  }

  async #checkHealth(): Promise<void> {
    await Promise.all(
      this.#targets.map(async (target) => {
        try {
          const response = await fetch(`http://127.0.0.1:${target.port}/health`, {
            signal: AbortSignal.timeout(2_000),
          });
          target.healthy = response.ok;
        } catch {
          target.healthy = false;
        }
      }),
    );
  }
}

function endToEnd(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
