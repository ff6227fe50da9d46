import { randomUUID } from 'node:crypto';
import type { ErrorHandler } from '@tmcp/session-manager';
import { renewEpoch, streamSessionManagerSuite, subscriptionManagerSuite } from '@tmcp/session-manager/testing';
import { Redis } from 'ioredis';
import { type KitRedis, kitRedis, TcpProxy } from 'test-support';
import { afterAll, beforeAll, expect } from 'vitest';
import { logKeys } from '../src/keys.ts';
import { RedisBackplane } from '../src/redis-backplane.ts';
import { RedisConnection } from '../src/redis-connection.ts';
import { RedisStreamSessionManager } from '../src/redis-stream-session-manager.ts';
import { RedisSubscriptionManager } from '../src/redis-subscription-manager.ts';

let redis: KitRedis;
let observer: Redis;

beforeAll(async () => {
  redis = await kitRedis();
  observer = new Redis(redis.url);
});
afterAll(async () => {
  await observer.quit();
  await redis.stop();
});

function breakContinuity(namespace: string): Promise<void> {
  const connection = new RedisConnection({ url: redis.url });
  return renewEpoch(new RedisBackplane(connection, { namespace, sessionTimeoutMs: 10_000 }));
}

/** How the server of the tests is set up is not what they are about. */
function withoutSettings(onError: ErrorHandler | undefined): ErrorHandler {
  return (error) => {
    if (error.code !== 'configuration' || !/maxmemory-policy|appendonly/.test(error.message)) onError?.(error);
  };
}

/** Namespaces that this test alone uses. */
function ownNamespaces(): { own: (name?: string) => string; expectNothingHeld: () => Promise<void> } {
  const used = new Set<string>();
  const test = randomUUID();
  const own = (name = 'default'): string => {
    used.add(`${test}/${name}`);
    return `${test}/${name}`;
  };
  return {
    own,
    // Managers that were closed have left, and given back what they held.
    expectNothingHeld: async () => {
      for (const namespace of used) {
        const { nodes, claims } = logKeys('tmcp', namespace);
        expect(await observer.hkeys(nodes)).toEqual([]);
        const rows = (await observer.hvals(claims)).map((text) => JSON.parse(text) as string[]);
        expect(rows.filter((row) => row[6] === '')).toEqual([]);
      }
    },
  };
}

streamSessionManagerSuite({
  name: 'Redis',
  concurrent: true,
  setUp: async () => {
    const { own, expectNothingHeld } = ownNamespaces();
    const { hostname: host, port } = new URL(redis.url);
    const proxy = await TcpProxy.start({ host, port: Number(port) });
    let anyoneDied = false;
    return {
      open: ({ namespace, onError, ...options }) =>
        new RedisStreamSessionManager({
          url: redis.url,
          namespace: own(namespace),
          onError: withoutSettings(onError),
          ...options,
        }),
      // A process whose connections are reset, and which never gets another one.
      openMortal: ({ namespace, onError, ...options }) => ({
        manager: new RedisStreamSessionManager({
          url: proxy.url(redis.url),
          namespace: own(namespace),
          onError: withoutSettings(onError),
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
  name: 'Redis',
  concurrent: true,
  setUp: async () => {
    const { own, expectNothingHeld } = ownNamespaces();
    return {
      open: ({ namespace, onError, ...options }) =>
        new RedisSubscriptionManager({
          url: redis.url,
          namespace: own(namespace),
          onError: withoutSettings(onError),
          ...options,
        }),
      breakContinuity: () => breakContinuity(own()),
      cleanUp: expectNothingHeld,
    };
  },
});
