import {
  type InfoStats,
  type InfoTtlOption,
  infoTtlRule,
  MAX_NAMESPACE_BYTES,
  option,
  readOptions,
  type SessionError,
  type StoredInfoSessionManager,
} from '@tmcp/session-manager';
import { DurableObjectInfoSessionManager } from './durable-object-info-session-manager.ts';
import {
  DurableObjectStreamSessionManager,
  type DurableObjectStreamStats,
} from './durable-object-stream-session-manager.ts';
import {
  DurableObjectSubscriptionManager,
  type DurableObjectSubscriptionStats,
} from './durable-object-subscription-manager.ts';
import { KVInfoSessionManager, type KvBinding, kvBindingRule } from './kv-info-session-manager.ts';
import { type DurableObjectDeliveryOptions, deliveryAndShardRules } from './options.ts';

/** Options of `durableObjectSessions()`: those of the three managers. */
export type DurableObjectSessionsOptions = DurableObjectDeliveryOptions &
  InfoTtlOption & {
    /**
     * Name of a KV binding, such as `'TMCP_SESSION_INFO'`, or the binding itself: session info is kept there. The README
     * tells when that is better.
     * @default none: info is kept in the objects
     */
    readonly kv?: KvBinding | undefined;
  };

/** All managers of one transport. Spread it into the transport's options. */
export type DurableObjectSessions = {
  readonly sessionManager: {
    readonly streams: DurableObjectStreamSessionManager;
    readonly info: StoredInfoSessionManager;
  };
  readonly subscriptionManager: DurableObjectSubscriptionManager;
  /** A set whose sessions and broadcasts never meet those of others: one for each transport of a server. */
  namespace(name: string): DurableObjectSessions;
  /** Counters for a metrics exporter; they are those of this isolate. */
  stats(): {
    readonly streams: DurableObjectStreamStats;
    readonly subscriptions: DurableObjectSubscriptionStats;
    readonly info: InfoStats;
  };
  /** For a readiness probe: whether an object answers. Never rejects. */
  health(): Promise<{ ok: boolean; error: SessionError | undefined }>;
  /** Ends what this isolate holds. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Streams, info and subscriptions on the same objects. Make it at module scope: nothing happens before the first call.
 *
 * ```ts
 * const sessions = durableObjectSessions();
 * const transport = new HttpTransport(server, { path: '/mcp', ...sessions });
 * ```
 *
 * With `{ kv: 'TMCP_SESSION_INFO' }` info is in KV, and the rest on objects.
 *
 * @throws SessionError `invalid-option`
 */
export function durableObjectSessions(options: DurableObjectSessionsOptions = {}): DurableObjectSessions {
  const read = readOptions('durableObjectSessions', options, {
    ...deliveryAndShardRules,
    infoTtlMs: infoTtlRule,
    kv: kvBindingRule,
  });
  const { infoTtlMs, kv, ...delivery } = options;
  const { binding, shards, namespace, locationHint, jurisdiction, sendTimeoutMs, maxOutboxBytes, onError } = delivery;
  const streams = new DurableObjectStreamSessionManager(delivery);
  const subscriptionManager = new DurableObjectSubscriptionManager(delivery);
  const stored = { namespace, sendTimeoutMs, maxOutboxBytes, onError, infoTtlMs };
  const info = kv
    ? new KVInfoSessionManager({ ...stored, binding: kv })
    : new DurableObjectInfoSessionManager({ ...stored, binding, shards, locationHint, jurisdiction });
  const others = new Map<string, DurableObjectSessions>();
  const close = async (): Promise<void> => {
    await Promise.all([subscriptionManager.close(), streams.close(), info.close()]);
    await Promise.all([...others.values()].map((set) => set.close()));
  };
  const set: DurableObjectSessions = {
    sessionManager: { streams, info },
    subscriptionManager,
    namespace: (name) => {
      readOptions('namespace', { name }, { name: option.name('default', MAX_NAMESPACE_BYTES) });
      if (name === read.namespace) return set;
      const known = others.get(name) ?? durableObjectSessions({ ...options, namespace: name });
      others.set(name, known);
      return known;
    },
    stats: () => ({ streams: streams.stats(), subscriptions: subscriptionManager.stats(), info: info.stats() }),
    health: () => streams.health(),
    close,
    [Symbol.asyncDispose]: close,
  };
  return set;
}
