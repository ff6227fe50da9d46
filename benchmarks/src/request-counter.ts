import { TcpProxy, waitFor } from 'test-support';

/**
 * Counts what clients ask of a PostgreSQL server, by reading their side of the protocol in a proxy: statements, and
 * round trips (each ends with a Sync, or is a simple query). Counts are exact while requests are small, for a message
 * that is cut in two by the network is not put together again.
 */
export class RequestCounter implements AsyncDisposable {
  static async start(server: { readonly host: string; readonly port: number }): Promise<RequestCounter> {
    return new RequestCounter(await TcpProxy.start(server));
  }

  statements = 0;
  roundTrips = 0;
  readonly #proxy: TcpProxy;
  #lastAt = performance.now();

  private constructor(proxy: TcpProxy) {
    this.#proxy = proxy;
    proxy.label('counted', (chunk) => {
      this.#count(chunk);
      return false;
    });
  }

  /** The same address, by way of the counter. */
  url(original: string): string {
    return this.#proxy.url(original);
  }

  reset(): void {
    this.statements = 0;
    this.roundTrips = 0;
  }

  /** Resolves when nothing has been asked for so long. */
  async quiet(ms: number): Promise<void> {
    await waitFor(() => performance.now() - this.#lastAt > ms, { message: 'a pause in what is asked of the server' });
  }

  #count(chunk: Buffer): void {
    this.#lastAt = performance.now();
    // A start-up message begins with its length, every other one with a letter.
    for (let at = 0; at + 5 <= chunk.length && chunk[at] !== 0; at += 1 + chunk.readInt32BE(at + 1)) {
      const letter = String.fromCharCode(chunk[at] ?? 0);
      if (letter === 'Q' || letter === 'E') this.statements += 1;
      if (letter === 'Q' || letter === 'S') this.roundTrips += 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy.close();
  }
}
