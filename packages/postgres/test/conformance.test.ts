import { randomUUID } from 'node:crypto';
import { renewEpoch, streamSessionManagerSuite, subscriptionManagerSuite } from '@tmcp/session-manager/testing';
import { Pool } from 'pg';
import { type KitPostgres, kitPostgres, TcpProxy } from 'test-support';
import { afterAll, beforeAll, expect } from 'vitest';
import { PostgresBackplane } from '../src/postgres-backplane.ts';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { PostgresStreamSessionManager } from '../src/postgres-stream-session-manager.ts';
import { PostgresSubscriptionManager } from '../src/postgres-subscription-manager.ts';

let postgres: KitPostgres;
let observer: Pool;

beforeAll(async () => {
  postgres = await kitPostgres();
  observer = new Pool({ connectionString: postgres.url, max: 1 });
});
afterAll(async () => {
  await observer.end();
  await postgres.stop();
});

function breakContinuity(namespace: string): Promise<void> {
  const connection = new PostgresConnection({ connectionString: postgres.url });
  return renewEpoch(new PostgresBackplane(connection, { namespace, durability: 'commit', sessionTimeoutMs: 10_000 }));
}

/** Namespaces that this test alone uses. */
function ownNamespaces(): { own: (name?: string) => string; expectNothingHeld: () => Promise<void> } {
  const test = randomUUID();
  const rows = async (statement: string): Promise<unknown[]> => (await observer.query(statement, [test])).rows;
  return {
    own: (name = 'default') => `${test}/${name}`,
    // Managers that were closed have left, and given back what they held.
    expectNothingHeld: async () => {
      expect(await rows('select ns, id from tmcp_sessions_node where starts_with(ns, $1)')).toEqual([]);
      expect(await rows('select ns, id from tmcp_sessions where starts_with(ns, $1) and detach is null')).toEqual([]);
    },
  };
}

streamSessionManagerSuite({
  name: 'PostgreSQL',
  concurrent: true,
  setUp: async () => {
    const { own, expectNothingHeld } = ownNamespaces();
    const { hostname: host, port } = new URL(postgres.url);
    const proxy = await TcpProxy.start({ host, port: Number(port) });
    let anyoneDied = false;
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
          anyoneDied = true;
          await proxy.refuse(true);
          proxy.cutAll();
        },
      }),
      breakContinuity: () => breakContinuity(own()),
      cleanUp: async () => {
        await proxy.close();
        if (!anyoneDied) await expectNothingHeld();
      },
    };
  },
});

subscriptionManagerSuite({
  name: 'PostgreSQL',
  concurrent: true,
  setUp: async () => {
    const { own, expectNothingHeld } = ownNamespaces();
    return {
      open: ({ namespace, ...options }) =>
        new PostgresSubscriptionManager({ connectionString: postgres.url, namespace: own(namespace), ...options }),
      breakContinuity: () => breakContinuity(own()),
      cleanUp: expectNothingHeld,
    };
  },
});
