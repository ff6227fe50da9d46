import type { SubscriptionFilter } from 'tmcp';
import type { Awaitable } from './awaitable.ts';

export type { SubscriptionFilter };

/** A JSON-RPC notification, or request, as the core of TMCP hands it over. */
export type Notification = {
  jsonrpc: '2.0';
  method: string;
  // The shape of params is the method's business; the transports pass JSON through.
  params?: unknown;
  id?: string | number | null;
};

/** One `subscriptions/listen` stream. `id` keeps its JSON type: 1 and "1" are two subscriptions. */
export type Subscription = { id: string | number; origin: string; filters: SubscriptionFilter };

/** How a subscription ended: `closed` by the server with a result, `cancelled` without one. */
export type CloseReason = 'closed' | 'cancelled';

/** The transport's side of one `subscriptions/listen` stream. */
export type SubscriptionCallbacks = {
  /** Called once, before anything else. Notifications wait until it has resolved. */
  acknowledge: () => Awaitable<void>;
  send: (notification: Notification) => Awaitable<void>;
  close: (reason: CloseReason) => Awaitable<void>;
};

/**
 * Routes notifications to the `subscriptions/listen` streams of the 2026-07-28 protocol. Registrations live in the
 * process that holds the response; only notifications cross processes.
 */
export abstract class SubscriptionManager {
  /**
   * Registers a subscription and acknowledges it. Notifications accepted meanwhile wait for the acknowledgement.
   *
   * @returns false when this pair of id and origin is registered already
   */
  abstract create(subscription: Subscription, callbacks: SubscriptionCallbacks): Awaitable<boolean>;

  /** Sends one notification to every subscription whose filters it passes, in every process of the namespace. */
  abstract send(notification: Notification): Awaitable<void>;

  /** Ends one subscription of this process. @returns false when the pair is unknown */
  abstract close(id: string | number, origin: string, reason: CloseReason): Awaitable<boolean>;

  /** Ends every subscription of this process, or those of one origin. */
  abstract closeAll(origin?: string, reason?: CloseReason): Awaitable<void>;
}

/**
 * Whether a notification belongs on a stream with these filters. Methods outside of the four change notifications
 * match nothing (specification 2026-07-28: no notification type that the client did not request).
 */
export function matchesSubscription(filters: SubscriptionFilter, notification: Notification): boolean {
  switch (notification.method) {
    case 'notifications/tools/list_changed':
      return filters.toolsListChanged === true;
    case 'notifications/prompts/list_changed':
      return filters.promptsListChanged === true;
    case 'notifications/resources/list_changed':
      return filters.resourcesListChanged === true;
    case 'notifications/resources/updated': {
      const uri = (notification.params as { uri?: unknown } | undefined)?.uri;
      return typeof uri === 'string' && filters.resourceSubscriptions?.includes(uri) === true;
    }
    default:
      return false;
  }
}
