import { TcpProxy, waitFor } from 'test-support';
import type { BackendName } from '../backends/backend.ts';
import { countPostgres } from './postgres-requests.ts';
import { countRedis } from './redis-requests.ts';

export type Counts = {
  statements: number;
  roundTrips: number;
};

/** Adds what one chunk of bytes asks of the server. */
export type Count = (chunk: Buffer, counts: Counts) => void;

const COUNT: Readonly<Record<BackendName, Count>> = { postgres: countPostgres, redis: countRedis };

/** Counts what clients ask of a server, by reading their side of the protocol in a proxy. */
export class RequestCounter implements AsyncDisposable {
  static async start(backend: BackendName, url: string): Promise<RequestCounter> {
    const { hostname, port } = new URL(url);
    return new RequestCounter(await TcpProxy.start({ host: hostname, port: Number(port) }), url, COUNT[backend]);
  }

  /** The same address, by way of the counter. */
  readonly url: string;
  readonly #proxy: TcpProxy;
  readonly #counts: Counts = { statements: 0, roundTrips: 0 };
  #lastAt = performance.now();

  private constructor(proxy: TcpProxy, url: string, count: Count) {
    this.url = proxy.url(url);
    this.#proxy = proxy;
    proxy.label('counted', (chunk) => {
      const { statements } = this.#counts;
      count(chunk, this.#counts);
      if (this.#counts.statements > statements) this.#lastAt = performance.now();
      return false;
    });
  }

  get statements(): number {
    return this.#counts.statements;
  }

  get roundTrips(): number {
    return this.#counts.roundTrips;
  }

  reset(): void {
    this.#counts.statements = 0;
    this.#counts.roundTrips = 0;
  }

  /** Resolves when nothing has been asked for so long. */
  async quiet(ms: number): Promise<void> {
    await waitFor(() => performance.now() - this.#lastAt > ms, { message: 'a pause in what is asked of the server' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy.close();
  }
}
