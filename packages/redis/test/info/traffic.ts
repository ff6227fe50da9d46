import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';

type Seen = { readonly command: readonly string[]; readonly inScript: boolean };

/** What a server is asked to do, as it sees it (`MONITOR`). */
export class Traffic implements Disposable {
  static async of(url: string): Promise<Traffic> {
    const client = new Redis(url);
    const monitor = await client.monitor();
    return new Traffic(client, monitor);
  }

  readonly #client: Redis;
  readonly #monitor: Redis;
  readonly #seen: Seen[] = [];

  private constructor(client: Redis, monitor: Redis) {
    this.#client = client;
    this.#monitor = monitor;
    monitor.on('monitor', (_time: string, command: string[], source: string) => {
      this.#seen.push({ command, inScript: source === 'lua' });
    });
  }

  /** Commands that arrived while something was done. Scripts count as one, what they do is left out. */
  async during(work: () => Promise<unknown>): Promise<string[]> {
    const seen = await this.#seenDuring(work);
    return seen.filter(({ inScript }) => !inScript).map(({ command: [name = ''] }) => name.toLowerCase());
  }

  /** What scripts did meanwhile. */
  async inScripts(work: () => Promise<unknown>): Promise<string[]> {
    const seen = await this.#seenDuring(work);
    return seen.filter(({ inScript }) => inScript).map(({ command: [name = ''] }) => name.toLowerCase());
  }

  [Symbol.dispose](): void {
    this.#client.disconnect();
    this.#monitor.disconnect();
  }

  async #seenDuring(work: () => Promise<unknown>): Promise<Seen[]> {
    const [begin, end] = [randomUUID(), randomUUID()];
    await this.#client.echo(begin);
    await work();
    await this.#client.echo(end);
    const find = (marker: string): number => this.#seen.findIndex(({ command }) => command[1] === marker);
    while (find(end) < 0) await new Promise((resolve) => this.#monitor.once('monitor', resolve));
    const seen = this.#seen.slice(find(begin) + 1, find(end));
    this.#seen.length = 0;
    return seen;
  }
}
