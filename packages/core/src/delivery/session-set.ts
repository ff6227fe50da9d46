import { SessionError } from '../errors.ts';
import type { InfoStats } from '../info/stored-info-session-manager.ts';
import type { InfoSessionManager } from '../info-session-manager.ts';
import { isPlainText } from '../text.ts';
import { BackplaneStreamSessionManager, type StreamSessionManagerStats } from './backplane-stream-session-manager.ts';
import { BackplaneSubscriptionManager, type SubscriptionManagerStats } from './backplane-subscription-manager.ts';
import type { DeliveryNode, Health } from './node.ts';

/** An info manager as all of this project are. */
type ManagedInfo = InfoSessionManager & { close(): Promise<void>; stats(): InfoStats };

/**
 * All managers of one transport, on shared connections. Spread it into the transport's options:
 * `new HttpTransport(server, { path: '/mcp', ...sessions })`.
 */
export type SessionSet<Info extends InfoSessionManager = InfoSessionManager> = {
  readonly sessionManager: { readonly streams: BackplaneStreamSessionManager; readonly info: Info };
  readonly subscriptionManager: BackplaneSubscriptionManager;
  /**
   * A set of the same shape on the same connections, whose sessions and broadcasts never meet those of others. Two
   * transports of one server need one each, else every broadcast would be sent twice. Asked for again it is the same
   * set, until that was closed; it is closed with the set that it came from.
   *
   * @param name well-formed text of 1 to 256 bytes without control characters
   */
  namespace(name: string): SessionSet<Info>;
  /** Counters for a metrics exporter. */
  stats(): SessionSetStats;
  /** For a readiness probe: whether the backend answered lately. Never rejects. */
  health(): Promise<Health>;
  /** Ends the streams, gives their sessions back, stores what waits, closes what was opened. Idempotent, never rejects. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type SessionSetStats = {
  readonly streams: StreamSessionManagerStats;
  readonly subscriptions: SubscriptionManagerStats;
  readonly info: InfoStats;
};

/** What a backend brings to a set. */
export type SessionSetParts<Info extends ManagedInfo> = {
  /** The namespace of the first set. */
  readonly namespace: string;
  /** A node on the shared connections; it is closed by the set. */
  node(namespace: string): DeliveryNode;
  info(namespace: string): Info;
  /** Closes what the sets share; called once, after every set was closed. */
  end(): Promise<void>;
};

/** Longest name of a namespace, in UTF-8 bytes. */
export const MAX_NAMESPACE_BYTES = 256;

/** Makes the set that a factory such as `postgresSessions()` returns. */
export function createSessionSet<Info extends ManagedInfo>(parts: SessionSetParts<Info>): SessionSet<Info> {
  const sets = new Map<string, { readonly set: SessionSet<Info>; readonly end: () => Promise<void> }>();
  let closing: Promise<void> | undefined;

  const closeAll = (): Promise<void> => {
    closing ??= Promise.all([...sets.values()].map(({ end }) => end())).then(() => parts.end());
    return closing;
  };
  const make = (name: string): SessionSet<Info> => {
    if (closing) throw new SessionError('closed', 'this session set was closed');
    if (typeof name !== 'string' || !isPlainText(name, MAX_NAMESPACE_BYTES)) {
      throw new SessionError(
        'invalid-option',
        `a namespace must be well-formed text of 1 to ${MAX_NAMESPACE_BYTES} bytes without control characters`,
      );
    }
    const known = sets.get(name);
    if (known) return known.set;
    const node = parts.node(name);
    const streams = new BackplaneStreamSessionManager(node);
    const subscriptionManager = new BackplaneSubscriptionManager(node);
    const info = parts.info(name);
    let ending: Promise<void> | undefined;
    const endOnce = async (): Promise<void> => {
      // Listen streams first: they end with their result, which transports that are closed later would not write.
      // Side by side: each waits for a backend that is away until its deadline.
      await Promise.all([subscriptionManager.close(), streams.close(), info.close()]);
      sets.delete(name);
    };
    const end = (): Promise<void> => {
      ending ??= endOnce();
      return ending;
    };
    const close = name === parts.namespace ? closeAll : end;
    const set: SessionSet<Info> = {
      sessionManager: { streams, info },
      subscriptionManager,
      namespace: make,
      stats: () => ({ streams: streams.stats(), subscriptions: subscriptionManager.stats(), info: info.stats() }),
      health: () => node.health(),
      close,
      [Symbol.asyncDispose]: close,
    };
    sets.set(name, { set, end });
    return set;
  };
  return make(parts.namespace);
}
