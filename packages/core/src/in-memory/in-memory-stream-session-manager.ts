import { BackplaneStreamSessionManager } from '../delivery/backplane-stream-session-manager.ts';
import { type InMemoryDeliveryOptions, inMemoryNode } from './in-memory-node.ts';

/** Options of `InMemoryStreamSessionManager`. */
export type InMemoryStreamSessionManagerOptions = InMemoryDeliveryOptions;

/**
 * Streams of one process, with everything the distributed managers do: event ids, resume, takeover, keep-alive.
 * The log that a client resumes from is kept in memory, at most 16 MiB of it by default.
 */
export class InMemoryStreamSessionManager extends BackplaneStreamSessionManager {
  constructor(options?: InMemoryStreamSessionManagerOptions) {
    super(inMemoryNode('InMemoryStreamSessionManager', options));
  }
}
