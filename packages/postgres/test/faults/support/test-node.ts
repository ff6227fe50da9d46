import type { SessionError } from '@tmcp/session-manager';
import type { LocalNode as NodeOf } from 'test-support/faults';
import { PostgresStreamSessionManager, type PostgresStreamSessionManagerOptions } from '../../../src/index.ts';

export type NodeOptions = Omit<PostgresStreamSessionManagerOptions, 'onError'>;

export type LocalNode = NodeOf<PostgresStreamSessionManager>;

export function makeManager(
  options: NodeOptions,
  onError: (error: SessionError) => void,
): PostgresStreamSessionManager {
  return new PostgresStreamSessionManager({ ...options, onError });
}
