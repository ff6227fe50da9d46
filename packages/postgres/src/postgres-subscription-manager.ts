import { BackplaneSubscriptionManager } from '@tmcp/session-manager';
import { type PostgresDeliveryOptions, standaloneNode } from './postgres-node.ts';

/** Options of `PostgresSubscriptionManager`. */
export type PostgresSubscriptionManagerOptions = PostgresDeliveryOptions;

/**
 * Subscriptions (`subscriptions/listen`) whose notifications reach every process, over PostgreSQL. On connections of
 * its own; `postgresSessions()` makes one that shares them with the other managers.
 */
export class PostgresSubscriptionManager extends BackplaneSubscriptionManager {
  /** @throws SessionError `invalid-option` */
  constructor(options: PostgresSubscriptionManagerOptions) {
    super(standaloneNode('PostgresSubscriptionManager', options));
  }
}
