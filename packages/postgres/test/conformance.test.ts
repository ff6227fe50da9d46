import { randomUUID } from 'node:crypto';
import { renewEpoch, streamSessionManagerSuite, subscriptionManagerSuite } from '@tmcp/session-manager/testing';
import { type KitPostgres, kitPostgres, TcpProxy } from 'test-support';
import { afterAll, beforeAll } from 'vitest';
import { PostgresBackplane } from '../src/postgres-backplane.ts';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { PostgresStreamSessionManager } from '../src/postgres-stream-session-manager.ts';
import { PostgresSubscriptionManager } from '../src/postgres-subscription-manager.ts';

let postgres: KitPostgres;
let proxy: TcpProxy;

beforeAll(async () => {
  postgres = await kitPostgres();
  const { hostname: host, port } = new URL(postgres.url);
  proxy = await TcpProxy.start({ host, port: Number(port) });
});
afterAll(async () => {
  await proxy.close();
  await postgres.stop();
});

function breakContinuity(namespace: string): Promise<void> {
  const connection = new PostgresConnection({ connectionString: postgres.url });
  return renewEpoch(new PostgresBackplane(connection, { namespace, durability: 'commit', sessionTimeoutMs: 10_000 }));
}

/** Namespaces that this test alone uses. */
function ownNamespaces(): (name?: string) => string {
  const test = randomUUID();
  return (name = 'default') => `${test}/${name}`;
}

streamSessionManagerSuite({
  name: 'PostgreSQL',
  setUp: async () => {
    const own = ownNamespaces();
    return {
      open: ({ namespace, ...options }) =>
        new PostgresStreamSessionManager({ connectionString: postgres.url, namespace: own(namespace), ...options }),
      // A process whose connections are reset, and which never gets another one.
      openMortal: ({ namespace, ...options }) => ({
        manager: new PostgresStreamSessionManager({
          connectionString: proxy.url(postgres.url),
          namespace: own(namespace),
          ...options,
        }),
        kill: async () => {
          await proxy.refuse(true);
          proxy.cutAll();
        },
      }),
      breakContinuity: () => breakContinuity(own()),
      cleanUp: () => proxy.refuse(false),
    };
  },
});

subscriptionManagerSuite({
  name: 'PostgreSQL',
  setUp: async () => {
    const own = ownNamespaces();
    return {
      open: ({ namespace, ...options }) =>
        new PostgresSubscriptionManager({ connectionString: postgres.url, namespace: own(namespace), ...options }),
      breakContinuity: () => breakContinuity(own()),
      cleanUp: async () => undefined,
    };
  },
});
