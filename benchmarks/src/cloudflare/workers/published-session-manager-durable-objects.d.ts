import type { DurableObject } from 'cloudflare:workers';

/** The part of the published `@tmcp/session-manager-durable-objects` 0.3.0 that benchmarks call. */
export declare class DurableObjectStreamSessionManager {
  create(id: string, controller: ReadableStreamDefaultController): Promise<void>;
  delete(id: string): Promise<void>;
  has(id: string): Promise<boolean>;
  send(sessions: string[] | undefined, data: unknown): Promise<void>;
}

export declare class KVInfoSessionManager {}

export declare class SyncLayer extends DurableObject {
  constructor(ctx: DurableObjectState, env: unknown);
}
