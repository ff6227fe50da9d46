import { BackplaneStreamSessionManager } from '@tmcp/session-manager';
import { type PostgresDeliveryOptions, standaloneNode } from './postgres-node.ts';

/** Options of `PostgresStreamSessionManager`. */
export type PostgresStreamSessionManagerOptions = PostgresDeliveryOptions;

/**
 * Streams of sessions that several processes share over PostgreSQL. On connections of its own; `postgresSessions()`
 * makes one that shares them with the other managers.
 */
export class PostgresStreamSessionManager extends BackplaneStreamSessionManager {
  /** @throws SessionError `invalid-option` */
  constructor(options: PostgresStreamSessionManagerOptions) {
    super(standaloneNode('PostgresStreamSessionManager', options));
  }
}
