// Never run, only type-checked: the managers fit wherever the transports take one, alone, from a set, and in pairs, and
// the class and its bindings are what Workers expect of them. That the contracts of this workspace are the published
// ones is shown in `packages/core/test/types`.

import { InMemoryInfoSessionManager } from '@tmcp/session-manager';
import type { HttpTransportOptions } from '@tmcp/transport-http';
import type { SseTransportOptions } from '@tmcp/transport-sse';
import {
  DurableObjectInfoSessionManager,
  type DurableObjectSessions,
  DurableObjectStreamSessionManager,
  DurableObjectSubscriptionManager,
  durableObjectSessions,
  KVInfoSessionManager,
  SyncLayer,
} from '../../src/index.ts';

declare const env: {
  readonly LAYER: DurableObjectNamespace<SyncLayer>;
  readonly UNTYPED: DurableObjectNamespace;
  readonly KV: KVNamespace;
};

const streams = new DurableObjectStreamSessionManager();
const info = new DurableObjectInfoSessionManager('TMCP_DURABLE_OBJECT');
const subscriptionManager = new DurableObjectSubscriptionManager({ binding: env.LAYER });
const set = durableObjectSessions({ binding: env.LAYER, namespace: 'app', infoTtlMs: 1_000 });

export const http: HttpTransportOptions = { path: '/mcp', sessionManager: { streams, info }, subscriptionManager };
export const sse: SseTransportOptions = { sessionManager: { streams, info } };
export const httpFromSet: HttpTransportOptions = { path: '/mcp', ...set };
export const sseFromSet: SseTransportOptions = { sessionManager: set.namespace('sse').sessionManager };
export const mixed: HttpTransportOptions[] = [
  { sessionManager: { streams, info: new KVInfoSessionManager({ binding: env.KV }) }, subscriptionManager },
  { sessionManager: { streams, info: new KVInfoSessionManager('TMCP_SESSION_INFO') }, subscriptionManager },
  { sessionManager: { streams, info: new InMemoryInfoSessionManager() }, subscriptionManager },
];
export const untyped: DurableObjectSessions = durableObjectSessions({ binding: env.UNTYPED });

/** As a Worker may extend it. */
export class AppLayer extends SyncLayer {}

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
export const unknown: DurableObjectInfoSessionManager = new DurableObjectInfoSessionManager({ heartbeatMs: 1 });
// @ts-expect-error a KV namespace is no binding of Durable Objects
export const noObjects: DurableObjectSessions = durableObjectSessions({ binding: env.KV });
