import { randomBytes } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import type { DriverContext } from '../../src/backend-options.ts';
import type { RedisClient } from '../../src/redis/redis-client.ts';
import { RedisDriver } from '../../src/redis/redis-driver.ts';
import type { NewRecord, SessionKey } from '../../src/session-driver.ts';

export const DAY_MS = 86_400_000;

export const CONTEXT: DriverContext = {
  pendingMs: 600_000,
  maxPendingMs: 3_600_000,
  dormantMs: 30 * DAY_MS,
  operationTimeoutMs: 10_000,
  report: { error: () => {}, warn: () => {} },
};

export type ClientOptions = {
  readonly keyPrefix?: string;
  readonly lazyConnect?: boolean;
  readonly maxRetriesPerRequest?: number | null;
  readonly retryStrategy?: (attempt: number) => number | null;
  readonly tls?: { readonly ca: string };
};

/** A client as applications have it, which does not print what it fails with. */
export function clientOf(url: string, options: ClientOptions = {}): Redis {
  return new Redis(url, options).on('error', () => {});
}

export function clusterClientOf(
  hosts: { host: string; port: number }[],
  options: { keyPrefix?: string; redisOptions?: ClientOptions; scaleReads?: 'all'; lazyConnect?: boolean } = {},
): Cluster {
  return new Cluster(hosts, options).on('error', () => {});
}

export function makeDriver(
  client: RedisClient,
  options: Partial<DriverContext> & { prefix?: string } = {},
): RedisDriver {
  return new RedisDriver(client, {
    ...CONTEXT,
    prefix: `test-${randomBytes(4).toString('hex')}:`,
    end: async () => {},
    ...options,
  });
}

export const KEY: SessionKey = { userId: 'user', sessionId: 'session' };

export function newRecord(changes: Partial<NewRecord> = {}): NewRecord {
  return {
    ...KEY,
    status: 'active',
    createdAt: Date.now(),
    updatedAt: undefined,
    fields: { serverUrl: '"https://server"', callbackUrl: '"https://callback"', transportType: '"sse"' },
    ...changes,
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
