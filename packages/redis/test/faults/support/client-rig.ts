import { Rig as RigOf } from 'test-support/faults';
import type { RedisClient, RedisStreamSessionManager } from '../../../src/index.ts';
import { type LocalNode, makeManager, type NodeOptions } from './test-node.ts';

type OwnedClient = RedisClient & { disconnect(): void };

const NO_PROGRAM = new URL('about:blank');

/** Nodes whose clients are handed in, one for each, as in an application on Sentinel or on a Cluster. */
export class ClientRig extends RigOf<NodeOptions, RedisStreamSessionManager> {
  readonly #makeClient: () => OwnedClient;
  readonly #clients: OwnedClient[] = [];

  constructor(makeClient: () => OwnedClient) {
    super({ defaults: {}, make: makeManager, program: NO_PROGRAM });
    this.#makeClient = makeClient;
  }

  override node(options: NodeOptions = {}): LocalNode {
    const client = this.#makeClient();
    this.#clients.push(client);
    return super.node({ ...options, client });
  }

  /** To judge what follows by itself. */
  again(): ClientRig {
    return new ClientRig(this.#makeClient);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    for (const client of this.#clients) client.disconnect();
  }
}
