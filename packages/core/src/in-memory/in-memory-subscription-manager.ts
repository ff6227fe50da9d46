import { BackplaneSubscriptionManager } from '../delivery/backplane-subscription-manager.ts';
import { type InMemoryDeliveryOptions, inMemoryNode } from './in-memory-node.ts';

/** Options of `InMemorySubscriptionManager`. */
export type InMemorySubscriptionManagerOptions = InMemoryDeliveryOptions;

/** Subscriptions of one process. */
export class InMemorySubscriptionManager extends BackplaneSubscriptionManager {
  constructor(options?: InMemorySubscriptionManagerOptions) {
    super(inMemoryNode('InMemorySubscriptionManager', options));
  }
}
