import { SessionError } from '../errors.ts';
import {
  type CloseReason,
  type Notification,
  type Subscription,
  type SubscriptionCallbacks,
  SubscriptionManager,
} from '../subscription-manager.ts';
import { withDeadline } from './deadline.ts';
import { type PayloadItem, SUBSCRIPTIONS } from './entries.ts';
import type { NotificationConsumer } from './log-reader.ts';
import type { DeliveryNode, Health, NodeStats } from './node.ts';
import { SubscriptionRegistry } from './subscription-registry.ts';
import { utf8Length } from './text.ts';

export type SubscriptionManagerStats = NodeStats & {
  /** Subscriptions of this process. */
  readonly attached: number;
  /** Notifications handed to them. */
  readonly delivered: number;
};

/**
 * Subscriptions on a log that several processes share. Registrations stay in the process that holds the response;
 * each notification is an entry of the log, so that it reaches every process, once and in order.
 *
 * The 2026-07-28 protocol has no resume. Where this process may have missed something, each stream gets the hints it
 * filters for; they are idempotent, the client lists again.
 */
export class BackplaneSubscriptionManager extends SubscriptionManager implements NotificationConsumer {
  readonly #node: DeliveryNode;
  readonly #registry: SubscriptionRegistry;
  /** Set while a large notification is being fetched: later ones wait for it. */
  #inbox: Promise<void> | undefined;
  #shutdown: Promise<void> | undefined;

  /** @param node the node whose notifications this manager delivers; it has no other subscription manager */
  constructor(node: DeliveryNode) {
    super();
    this.#node = node;
    this.#registry = new SubscriptionRegistry({
      callbackTimeoutMs: node.settings.sendTimeoutMs,
      maxWaitingBytes: node.settings.maxStreamBufferBytes,
      report: (error) => node.report(error),
    });
    node.attachNotifications(this);
  }

  /**
   * Registers a subscription and acknowledges it, once this process hears of every notification.
   *
   * @returns false when this pair of id and origin is registered already
   * @throws SessionError `invalid-option`, `closed`, `unavailable`, `timeout`, or why the backend refuses; what
   *   `acknowledge` threw. The transport shows the message to the client.
   */
  override async create(subscription: Subscription, callbacks: SubscriptionCallbacks): Promise<boolean> {
    this.#assertOpen();
    assertSubscription(subscription, callbacks);
    await this.#node.ready();
    this.#assertOpen();
    return this.#registry.add(subscription, callbacks);
  }

  /** Sends a notification. Never rejects: what is not accepted is reported through `onError`. Use `publish` to know. */
  override async send(notification: Notification): Promise<void> {
    try {
      await this.publish(notification);
    } catch (error) {
      this.#node.report(error);
    }
  }

  /**
   * Sends a notification and resolves when it is accepted: from then on it reaches every matching subscription of
   * the namespace. Refused with `timeout`, it may have been stored nevertheless.
   *
   * @throws SessionError `invalid-message`, `message-too-large`, `outbox-full`, `timeout`, `closed`, `discontinuity`
   */
  async publish(notification: Notification): Promise<void> {
    this.#assertOpen();
    const payload = serialize(notification);
    const payloadBytes = utf8Length(payload);
    const { maxMessageBytes } = this.#node.settings;
    if (payloadBytes > maxMessageBytes) {
      throw new SessionError(
        'message-too-large',
        `a notification of ${payloadBytes} bytes exceeds "maxMessageBytes" (${maxMessageBytes}); raise it, or send less`,
      );
    }
    const mergeable = notification.method.endsWith('/list_changed');
    await this.#node.send({ to: SUBSCRIPTIONS, payload, payloadBytes, mergeable });
  }

  /**
   * With arguments: ends one subscription of this process; false when the pair is unknown. Without arguments: shuts
   * the manager down, every subscription ending with its result. Neither rejects.
   */
  override close(id: string | number, origin: string, reason: CloseReason): Promise<boolean>;
  override close(): Promise<void>;
  override close(...args: [] | [string | number, string, CloseReason]): Promise<boolean> | Promise<void> {
    const [id, origin, reason] = args;
    if (id !== undefined && origin !== undefined) return this.#registry.close(id, origin, reason ?? 'cancelled');
    // An id comes from a client: one that is missing must not shut everything down.
    if (args.length > 0) return Promise.resolve(false);
    this.#shutdown ??= this.#close();
    return this.#shutdown;
  }

  override closeAll(origin?: string, reason: CloseReason = 'cancelled'): Promise<void> {
    return this.#registry.closeAll(origin, reason);
  }

  /** Counters for a metrics exporter. */
  stats(): SubscriptionManagerStats {
    return { ...this.#node.stats(), attached: this.#registry.size, delivered: this.#registry.delivered };
  }

  /** For a readiness probe: whether the backend answered lately. Never rejects. */
  health(): Promise<Health> {
    return this.#node.health();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal called by the node, in the order of the log */
  notification([, length, large]: PayloadItem, data: string, offset: number): void {
    if (this.#registry.size === 0 && !this.#inbox) return;
    if (!large && !this.#inbox) {
      this.#deliver(data.slice(offset, offset + length));
      return;
    }
    const text = large ? this.#node.backplane.getLarge(large[0]) : data.slice(offset, offset + length);
    // Its failure is dealt with when it is due, which may be after it has failed.
    if (typeof text !== 'string') text.catch(() => undefined);
    const inbox: Promise<void> = (this.#inbox ?? Promise.resolve()).then(async () => {
      try {
        const fetched = await text;
        if (fetched !== undefined) this.#deliver(fetched);
        else this.#registry.hint(); // no longer stored: that much can still be said
      } catch (error) {
        this.#node.report(error);
        this.#registry.hint();
      }
      if (this.#inbox === inbox) this.#inbox = undefined;
    });
    this.#inbox = inbox;
  }

  /** @internal called by the node */
  discontinued(): void {
    this.#registry.hint();
  }

  #deliver(text: string): void {
    this.#registry.deliver(JSON.parse(text) as Notification, text.length);
  }

  async #close(): Promise<void> {
    await withDeadline(
      this.#registry.closeAll(undefined, 'closed'),
      this.#node.settings.sendTimeoutMs,
      () => new SessionError('timeout', 'listen streams did not end within "sendTimeoutMs"'),
    ).catch((error) => this.#node.report(error));
    await this.#node.detach();
  }

  #assertOpen(): void {
    if (this.#shutdown) throw new SessionError('closed', 'this subscription manager was closed');
  }
}

/** Whatever is registered is matched where the log is read, and nothing may throw there. */
function assertSubscription(subscription: Subscription, callbacks: SubscriptionCallbacks): void {
  const { id, origin, filters } = subscription ?? {};
  const { acknowledge, send, close } = callbacks ?? {};
  const uris = filters?.resourceSubscriptions ?? [];
  const isWhole =
    (typeof id === 'string' || typeof id === 'number') &&
    typeof origin === 'string' &&
    typeof filters === 'object' &&
    filters !== null &&
    Array.isArray(uris) &&
    [acknowledge, send, close].every((callback) => typeof callback === 'function');
  if (!isWhole) {
    throw new SessionError('invalid-option', 'a subscription needs an id, an origin, filters and its three callbacks');
  }
}

function serialize(notification: Notification): string {
  try {
    const text: unknown = JSON.stringify(notification);
    if (typeof text === 'string' && text.startsWith('{') && typeof notification.method === 'string') return text;
  } catch (cause) {
    throw new SessionError('invalid-message', 'a notification must be JSON', { cause });
  }
  throw new SessionError('invalid-message', 'a notification must be a JSON-RPC object with a method');
}
