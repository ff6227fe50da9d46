// Never run, only type-checked: the managers fit wherever the transports take one, alone, from a set, and in pairs
// with those of another backend. That the contracts of this workspace are the published ones is shown in
// `packages/core/test/types`.

import {
  PostgresInfoSessionManager,
  PostgresStreamSessionManager,
  PostgresSubscriptionManager,
} from '@tmcp/session-manager-postgres';
import type { HttpTransportOptions } from '@tmcp/transport-http';
import type { SseTransportOptions } from '@tmcp/transport-sse';
import { Cluster, Redis } from 'ioredis';
import {
  type RedisClient,
  RedisInfoSessionManager,
  type RedisSessions,
  RedisStreamSessionManager,
  RedisSubscriptionManager,
  redisSessions,
} from '../../src/index.ts';

const url = 'redis://localhost:6379';
const streams = new RedisStreamSessionManager(url);
const info = new RedisInfoSessionManager(url);
const subscriptionManager = new RedisSubscriptionManager(url);
const set = redisSessions(url);

export const http: HttpTransportOptions = { path: '/mcp', sessionManager: { streams, info }, subscriptionManager };
export const sse: SseTransportOptions = { sessionManager: { streams, info } };
export const httpFromSet: HttpTransportOptions = { path: '/mcp', ...set };
export const sseFromSet: SseTransportOptions = { sessionManager: set.namespace('sse').sessionManager };

const connectionString = 'postgres://localhost/app';
export const mixed: HttpTransportOptions[] = [
  { sessionManager: { streams, info: new PostgresInfoSessionManager({ connectionString }) }, subscriptionManager },
  {
    sessionManager: { streams: new PostgresStreamSessionManager({ connectionString }), info },
    subscriptionManager: new PostgresSubscriptionManager({ connectionString }),
  },
];

// Whatever the application has of ioredis is a client, as it comes.
export const clients: RedisClient[] = [
  new Redis(url),
  new Redis({ sentinels: [{ host: 'localhost', port: 26379 }], name: 'master' }),
  new Redis(url, { replyMapping: 'resp3' }),
  new Cluster([{ host: 'localhost', port: 7000 }]),
];
export const withCluster: RedisSessions = redisSessions({
  client: new Cluster([url]),
  namespace: 'app',
  infoTtlMs: 1_000,
});

// And the types do say no.

export const wrong: HttpTransportOptions[] = [
  // @ts-expect-error streams are no info
  { sessionManager: { info: streams } },
  // @ts-expect-error info is no streams
  { sessionManager: { streams: info } },
  // @ts-expect-error nor a subscription manager
  { subscriptionManager: streams },
];

// @ts-expect-error an option that info has not
export const unknown: RedisInfoSessionManager = new RedisInfoSessionManager({ url, heartbeatMs: 1 });
