import { randomUUID } from 'node:crypto';
import type { ErrorHandler } from '@tmcp/session-manager';
import { renewEpoch, streamSessionManagerSuite, subscriptionManagerSuite } from '@tmcp/session-manager/testing';
import type { Cluster, Redis } from 'ioredis';
import { TcpProxy } from 'test-support';
import { expect } from 'vitest';
import { logKeys } from '../src/keys.ts';
import { RedisBackplane } from '../src/redis-backplane.ts';
import { RedisConnection } from '../src/redis-connection.ts';
import { RedisStreamSessionManager } from '../src/redis-stream-session-manager.ts';
import { RedisSubscriptionManager } from '../src/redis-subscription-manager.ts';

type Address = { readonly host: string; readonly port: number };

/** Where clients that know a server by one address find it, as `ioredis` takes it. */
export type NatMap = Record<string, { host: string; port: number }>;

export type ClientsOfKit = {
  readonly name: string;
  /** Makes a client, which whoever calls this suite disconnects in the end. */
  connect(natMap?: NatMap): Cluster | Redis;
  /** Every server that holds data. */
  servers(): readonly Address[];
  /** Told of a key of each namespace that was used. */
  used?(key: string): Promise<void>;
};

/** The kit of the core on managers whose clients are handed in, one for each, as in an application on several servers. */
export function kitOnClients(clients: ClientsOfKit): void {
  const { name, connect, servers } = clients;

  streamSessionManagerSuite({
    name,
    concurrent: true,
    setUp: async () => {
      const namespaces = new Namespaces(clients);
      const proxies = await Promise.all(servers().map((server) => TcpProxy.start(server)));
      const throughProxies = Object.fromEntries(
        servers().map(({ host, port }, i) => [`${host}:${port}`, addressOf(proxies[i] as TcpProxy)]),
      );
      let anyoneDied = false;
      return {
        open: ({ namespace, onError, ...options }) =>
          new RedisStreamSessionManager({
            client: connect(),
            namespace: namespaces.own(namespace),
            onError: withoutSettings(onError),
            ...options,
          }),
        // A process whose connections are reset, and which never gets another one.
        openMortal: ({ namespace, onError, ...options }) => ({
          manager: new RedisStreamSessionManager({
            client: connect(throughProxies),
            namespace: namespaces.own(namespace),
            onError: withoutSettings(onError),
            ...options,
          }),
          kill: async () => {
            anyoneDied = true;
            for (const proxy of proxies) {
              await proxy.refuse(true);
              proxy.cutAll();
            }
          },
        }),
        breakContinuity: () => namespaces.breakContinuity(),
        cleanUp: async () => {
          for (const proxy of proxies) await proxy.close();
          if (!anyoneDied) await namespaces.expectNothingHeld();
        },
      };
    },
  });

  subscriptionManagerSuite({
    name,
    concurrent: true,
    setUp: async () => {
      const namespaces = new Namespaces(clients);
      return {
        open: ({ namespace, onError, ...options }) =>
          new RedisSubscriptionManager({
            client: connect(),
            namespace: namespaces.own(namespace),
            onError: withoutSettings(onError),
            ...options,
          }),
        breakContinuity: () => namespaces.breakContinuity(),
        cleanUp: () => namespaces.expectNothingHeld(),
      };
    },
  });
}

function addressOf({ host, port }: Address): { host: string; port: number } {
  return { host, port };
}

/** How the servers of the tests are set up is not what they are about. */
function withoutSettings(onError: ErrorHandler | undefined): ErrorHandler {
  return (error) => {
    if (error.code !== 'configuration' || !/maxmemory-policy|appendonly/.test(error.message)) onError?.(error);
  };
}

/** Namespaces that a test alone uses. */
class Namespaces {
  readonly #test = randomUUID();
  readonly #used = new Set<string>();
  readonly #clients: ClientsOfKit;

  constructor(clients: ClientsOfKit) {
    this.#clients = clients;
  }

  own(name = 'default'): string {
    const namespace = `${this.#test}/${name}`;
    this.#used.add(namespace);
    return namespace;
  }

  /** Managers that were closed have left, and given back what they held. */
  async expectNothingHeld(): Promise<void> {
    const client = this.#clients.connect();
    for (const namespace of this.#used) {
      const { head, nodes, claims } = logKeys('tmcp', namespace);
      await this.#clients.used?.(head);
      expect(await client.hkeys(nodes)).toEqual([]);
      const rows = (await client.hvals(claims)).map((text) => JSON.parse(text) as string[]);
      expect(rows.filter((row) => row[6] === '')).toEqual([]);
    }
    client.disconnect();
  }

  breakContinuity(): Promise<void> {
    const connection = new RedisConnection({ client: this.#clients.connect() });
    return renewEpoch(new RedisBackplane(connection, { namespace: this.own(), sessionTimeoutMs: 10_000 }));
  }
}
