import type { SessionError } from '@tmcp/session-manager';
import type { LocalNode as NodeOf } from 'test-support/faults';
import { RedisStreamSessionManager, type RedisStreamSessionManagerOptions } from '../../../src/index.ts';

export type NodeOptions = Omit<RedisStreamSessionManagerOptions, 'onError'>;

export type LocalNode = NodeOf<RedisStreamSessionManager>;

export function makeManager(options: NodeOptions, onError: (error: SessionError) => void): RedisStreamSessionManager {
  return new RedisStreamSessionManager({ ...options, onError });
}
