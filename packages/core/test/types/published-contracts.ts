// Never run, only type-checked: our managers fit wherever the published packages expect theirs.
//
// The workspace resolves the transports' dependency to this package, so that their options would be compared with
// themselves. The reference below declares the published `@tmcp/session-manager` 0.3.0 in its place, and ours is
// imported by path.

/// <reference path="../../node_modules/published-session-manager/src/types/index.d.ts" />

import type * as published from '@tmcp/session-manager';
import type { HttpTransportOptions } from '@tmcp/transport-http';
import type { SseTransportOptions } from '@tmcp/transport-sse';
import * as ours from '../../src/index.ts';

declare const storedInfo: ours.StoredInfoSessionManager;
declare const set: ours.SessionSet;

const streams = new ours.InMemoryStreamSessionManager();
const info = new ours.InMemoryInfoSessionManager();
const subscriptionManager = new ours.InMemorySubscriptionManager();

// Each manager, where the transports take it.

export const http: HttpTransportOptions = { sessionManager: { streams, info }, subscriptionManager };
export const sse: SseTransportOptions = { sessionManager: { streams, info } };
export const httpFromSet: HttpTransportOptions = { path: '/mcp', ...set };
export const sseFromSet: SseTransportOptions = { sessionManager: set.sessionManager };
export const httpStored: HttpTransportOptions = { sessionManager: { info: storedInfo } };
export const httpNone: HttpTransportOptions = { sessionManager: {} };

// Our contracts, where the published ones are expected: a manager written against ours serves both.

declare const anyStreams: ours.StreamSessionManager;
declare const anyInfo: ours.InfoSessionManager;
declare const anySubscriptions: ours.SubscriptionManager;
export const asPublished: {
  streams: published.StreamSessionManager;
  info: published.InfoSessionManager;
  subscriptions: published.SubscriptionManager;
} = { streams: anyStreams, info: anyInfo, subscriptions: anySubscriptions };

declare const publishedSubscription: published.Subscription;
declare const publishedCallbacks: published.SubscriptionCallbacks;
export const created: ours.Awaitable<boolean> = anySubscriptions.create(publishedSubscription, publishedCallbacks);
export const matches: typeof published.matchesSubscription = ours.matchesSubscription;

// Managers written against the published contracts work beside ours.

declare const theirStreams: published.InMemoryStreamSessionManager;
declare const theirInfo: published.InMemoryInfoSessionManager;
export const mixed: HttpTransportOptions[] = [
  { sessionManager: { streams: theirStreams, info } },
  { sessionManager: { streams, info: theirInfo } },
];

// And the types do say no.

export const wrong: HttpTransportOptions[] = [
  // @ts-expect-error streams are no info
  { sessionManager: { info: streams } },
  // @ts-expect-error info is no streams
  { sessionManager: { streams: info } },
  // @ts-expect-error nor a subscription manager
  { subscriptionManager: streams },
];

// @ts-expect-error `send` is missing
export const incomplete: published.StreamSessionManager = { create() {}, delete() {}, has: () => true };

// @ts-expect-error a number is no answer to `has`
export const untrue: published.StreamSessionManager = { create() {}, delete() {}, has: () => 1, send() {} };
