import { env } from 'cloudflare:workers';
import {
  type InfoTtlOption,
  infoTtlRule,
  MAX_NAMESPACE_BYTES,
  type OptionRule,
  option,
  readOptions,
  SessionError,
  type StoredInfoOptions,
  storedInfoRules,
} from '@tmcp/session-manager';
import { KvInfoStore } from './kv-info-store.ts';
import { WorkerInfoSessionManager } from './worker-info-session-manager.ts';

/** A KV binding by its name in the Worker's configuration, or the namespace itself. */
export type KvBinding = string | KVNamespace;

export type KVInfoSessionManagerOptions = StoredInfoOptions &
  InfoTtlOption & {
    /**
     * Name of the KV binding, or the binding itself.
     * @default 'TMCP_SESSION_INFO'
     */
    readonly binding?: KvBinding | undefined;
    /**
     * Sessions of different namespaces never meet.
     * @default 'default'
     */
    readonly namespace?: string | undefined;
  };

const OWNER = 'KVInfoSessionManager';

const binding: OptionRule<KvBinding> = {
  expects: 'the name of a KV binding, or the binding itself',
  accepts: (value) => (typeof value === 'string' ? value !== '' : typeof value === 'object' && value !== null),
  fallback: 'TMCP_SESSION_INFO',
};

/** For managers that keep session info elsewhere unless a binding is given. */
export const kvBindingRule: OptionRule<KvBinding | undefined> = { ...binding, fallback: undefined };

/**
 * Session info in Workers KV: cheap to read from everywhere, and true a minute later.
 *
 * - Storage: see `KvInfoStore`. Reads what 0.3.0 wrote.
 * - Life cycle: each key expires `infoTtlMs` after it was written (60 s at least); reading does not prolong it.
 * - Constraints: what one location wrote may be unseen in another for 60 s and more, an earlier "nothing" included. One
 *   write a second per key. Subscriptions are best effort.
 * - Trade-off: take `DurableObjectInfoSessionManager` unless the class has no SQL or reads must not cross the world.
 */
export class KVInfoSessionManager extends WorkerInfoSessionManager {
  /**
   * @param options name of the binding, or options
   * @throws SessionError `invalid-option`
   */
  constructor(options?: string | KVInfoSessionManagerOptions) {
    const given = typeof options === 'string' ? { binding: options } : options;
    const read = readOptions(OWNER, given, {
      ...storedInfoRules,
      binding,
      namespace: option.name('default', MAX_NAMESPACE_BYTES),
      infoTtlMs: infoTtlRule,
    });
    super(new KvInfoStore(() => find(read.binding), read.namespace, read.infoTtlMs), read);
  }
}

function find(given: KvBinding): KVNamespace {
  const kv = typeof given === 'string' ? (env as unknown as Record<string, unknown>)[given] : given;
  if (typeof kv === 'object' && kv !== null && 'getWithMetadata' in kv) return kv as KVNamespace;
  throw new SessionError(
    'configuration',
    'the KV binding of the session info is missing; add it to the configuration of the Worker, or name it in "binding"',
  );
}
