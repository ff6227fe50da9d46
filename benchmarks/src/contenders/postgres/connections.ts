import { Client } from 'pg';

/**
 * Connections that share the work in turn, each running one query after the other: leaner than a pool, in favour of
 * what is compared with.
 */
export class Connections {
  static async open(url: string, count: number): Promise<Connections> {
    const clients = Array.from({ length: count }, () => new Client({ connectionString: url }));
    await Promise.all(clients.map((client) => client.connect()));
    return new Connections(clients);
  }

  readonly #lanes: { readonly client: Client; last: Promise<unknown> }[];
  #next = 0;

  private constructor(clients: readonly Client[]) {
    this.#lanes = clients.map((client) => ({ client, last: Promise.resolve() }));
  }

  run(query: (client: Client) => Promise<unknown>): Promise<unknown> {
    const lane = this.#lanes[this.#next++ % this.#lanes.length];
    if (!lane) throw new Error('there are no connections');
    lane.last = lane.last.then(() => query(lane.client));
    return lane.last;
  }
}
