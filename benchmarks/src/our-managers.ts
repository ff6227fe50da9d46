import type { BackplaneStreamSessionManager, DeliveryOptions, SessionError } from '@tmcp/session-manager';
import { type PostgresDeliveryOptions, PostgresStreamSessionManager } from '@tmcp/session-manager-postgres';
import { RedisStreamSessionManager } from '@tmcp/session-manager-redis';
import type { BackendName } from './backends/backend.ts';

export function openPostgres(
  connectionString: string,
  options?: PostgresDeliveryOptions,
): PostgresStreamSessionManager {
  return new PostgresStreamSessionManager({ ...options, connectionString });
}

export function openRedis(url: string, options?: DeliveryOptions): RedisStreamSessionManager {
  return new RedisStreamSessionManager({ onError, ...options, url });
}

/** That these servers write nothing to disk is meant. */
function onError(error: SessionError): void {
  if (error.code !== 'configuration') console.error(error);
}

const OPEN: Readonly<Record<BackendName, (url: string, options?: DeliveryOptions) => BackplaneStreamSessionManager>> = {
  postgres: openPostgres,
  redis: openRedis,
};

/** This project's stream manager on a backend. */
export function openOurs(backend: BackendName, url: string, options?: DeliveryOptions): BackplaneStreamSessionManager {
  return OPEN[backend](url, options);
}
