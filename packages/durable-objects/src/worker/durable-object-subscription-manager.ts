import {
  type CloseReason,
  type ErrorHandler,
  guardErrorHandler,
  isStorable,
  type Notification,
  SessionError,
  type Subscription,
  type SubscriptionCallbacks,
  SubscriptionManager,
  utf8Length,
} from '@tmcp/session-manager';
import type { Topic } from '../protocol.ts';
import { callShard, withinMs } from './calls.ts';
import { ListenStream } from './listen-stream.ts';
import { type DeliveryConfiguration, type DurableObjectDeliveryOptions, readDelivery } from './options.ts';
import { Outbox } from './outbox.ts';
import { keepRunning } from './request.ts';

export type DurableObjectSubscriptionManagerOptions = DurableObjectDeliveryOptions;

/** Counters since this isolate made the manager. */
export type DurableObjectSubscriptionStats = {
  /** Subscriptions of this isolate. */
  readonly attached: number;
  readonly sent: number;
  readonly delivered: number;
};

/**
 * `subscriptions/listen` streams on Durable Objects. Nothing happens at construction, so it can be made at module scope.
 *
 * - Storage: none here. A notification is accepted when every shard has logged it.
 * - Life cycle: each listen stream has a socket of its own, opened in its request, to the shard its origin hashes to.
 *   It comes back by itself; where something may have been missed, the stream gets the hints that it filters for.
 * - Constraints: a subscription is closed by the isolate that holds it. Its manager has no controller, so it cannot
 *   write keep-alive comments: a client that has gone is noticed when a notification is sent to it.
 * - Trade-off: shards know which kinds of notifications a stream wants, not which URIs: `resources/updated` reaches
 *   every Worker that holds a stream with resource subscriptions, and is filtered there.
 */
export class DurableObjectSubscriptionManager extends SubscriptionManager implements AsyncDisposable {
  readonly #configuration: DeliveryConfiguration;
  readonly #report: ErrorHandler;
  readonly #outbox: Outbox;
  /** By origin, then by id: a number and a text of the same digits are two ids. */
  readonly #origins = new Map<string, Map<string | number, ListenStream>>();
  #sent = 0;
  #delivered = 0;
  #shutdown: Promise<void> | undefined;

  /**
   * @param options name of the binding, or options
   * @throws SessionError `invalid-option`
   */
  constructor(options?: string | DurableObjectSubscriptionManagerOptions) {
    super();
    this.#configuration = readDelivery('DurableObjectSubscriptionManager', options);
    const { shards, shard, delivery } = this.#configuration;
    this.#report = guardErrorHandler(delivery.onError);
    this.#outbox = new Outbox({ ...delivery, shards, settings: shard });
  }

  /**
   * Registers a subscription and acknowledges it, once its shard will send it every notification.
   *
   * @returns false when this pair of id and origin is registered already
   * @throws SessionError `invalid-option`, `closed`, `unavailable`, `timeout`; what `acknowledge` threw
   */
  override async create(subscription: Subscription, callbacks: SubscriptionCallbacks): Promise<boolean> {
    this.#assertOpen();
    assertSubscription(subscription, callbacks);
    const { id, origin } = subscription;
    const registered = this.#origins.get(origin) ?? new Map<string | number, ListenStream>();
    if (registered.has(id)) return false;
    const stream = new ListenStream(subscription, callbacks, {
      ...this.#configuration,
      report: (error) => this.#reportAny(error),
      onEnd: (ended) => this.#forget(id, origin, ended),
    });
    registered.set(id, stream);
    this.#origins.set(origin, registered);
    await this.#outbox.run(this.#configuration.shards.of(origin), () => stream.connect());
    // Closed while it was on its way: it was acknowledged or not, but it is no longer there.
    return stream.acknowledge();
  }

  /** Sends a notification. Never rejects: what is not accepted is reported through `onError`. Use `publish` to know. */
  override async send(notification: Notification): Promise<void> {
    try {
      await this.publish(notification);
    } catch (error) {
      this.#reportAny(error);
    }
  }

  /**
   * Sends a notification and resolves when every shard has logged it.
   *
   * @throws SessionError `invalid-message`, `message-too-large`, `outbox-full`, `timeout`, `closed`
   */
  async publish(notification: Notification): Promise<void> {
    this.#assertOpen();
    const data = serialize(notification);
    const { maxMessageBytes } = this.#configuration.delivery;
    const bytes = utf8Length(data);
    if (bytes > maxMessageBytes) {
      throw new SessionError(
        'message-too-large',
        `a notification of ${bytes} bytes exceeds "maxMessageBytes" (${maxMessageBytes}); raise it, or send less`,
      );
    }
    // At module scope nothing can be sent, and nobody listens yet.
    if (!keepRunning(Promise.resolve())) return;
    const topic = topicOf(notification.method);
    const mergeable = notification.method.endsWith('/list_changed');
    await this.#outbox.send(this.#configuration.shards.all, () => ({ topic, data }), mergeable);
    this.#sent += 1;
  }

  /**
   * With arguments: ends one subscription of this isolate; false when the pair is unknown. Without arguments: shuts the
   * manager down, every subscription ending with its result. Neither rejects.
   */
  override close(id: string | number, origin: string, reason: CloseReason): Promise<boolean>;
  override close(): Promise<void>;
  override close(...args: [] | [string | number, string, CloseReason]): Promise<boolean> | Promise<void> {
    const [id, origin, reason] = args;
    if (id !== undefined && origin !== undefined) {
      const stream = this.#origins.get(origin)?.get(id);
      return stream ? stream.close(reason ?? 'cancelled') : Promise.resolve(false);
    }
    // An id comes from a client: one that is missing must not shut everything down.
    if (args.length > 0) return Promise.resolve(false);
    this.#shutdown ??= this.#close();
    return this.#shutdown;
  }

  override async closeAll(origin?: string, reason: CloseReason = 'cancelled'): Promise<void> {
    const closing: Promise<boolean>[] = [];
    for (const [from, streams] of this.#origins) {
      if (origin === undefined || from === origin)
        for (const stream of streams.values()) closing.push(stream.close(reason));
    }
    await Promise.all(closing);
  }

  /** Counters for a metrics exporter; they are those of this isolate. */
  stats(): DurableObjectSubscriptionStats {
    let [attached, delivered] = [0, this.#delivered];
    for (const streams of this.#origins.values()) {
      for (const stream of streams.values()) {
        if (stream.isOpen) attached += 1;
        delivered += stream.delivered;
      }
    }
    return { attached, sent: this.#sent, delivered };
  }

  /** For a readiness probe: whether an object answers. Never rejects. */
  async health(): Promise<{ ok: boolean; error: SessionError | undefined }> {
    try {
      this.#assertOpen();
      const { shards, delivery } = this.#configuration;
      await callShard(delivery.sendTimeoutMs, () => shards.stub(0).check());
      return { ok: true, error: undefined };
    } catch (error) {
      return { ok: false, error: SessionError.is(error) ? error : undefined };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { sendTimeoutMs } = this.#configuration.delivery;
    const late = (): SessionError => new SessionError('timeout', 'listen streams did not end within "sendTimeoutMs"');
    await withinMs(sendTimeoutMs, this.closeAll(undefined, 'closed'), late).catch((error) => this.#reportAny(error));
    await this.#outbox.flushed();
  }

  #forget(id: string | number, origin: string, stream: ListenStream): void {
    const streams = this.#origins.get(origin);
    if (streams?.get(id) !== stream) return;
    this.#delivered += stream.delivered;
    streams.delete(id);
    if (streams.size === 0) this.#origins.delete(origin);
  }

  #assertOpen(): void {
    if (this.#shutdown) throw new SessionError('closed', 'this subscription manager was closed');
  }

  #reportAny(error: unknown): void {
    this.#report(
      SessionError.is(error)
        ? error
        : new SessionError('unavailable', 'a call of the subscription manager failed', { cause: error }),
    );
  }
}

function topicOf(method: string): Topic {
  switch (method) {
    case 'notifications/tools/list_changed':
      return 'tools';
    case 'notifications/prompts/list_changed':
      return 'prompts';
    case 'notifications/resources/list_changed':
      return 'resources';
    case 'notifications/resources/updated':
      return 'updated';
    default:
      return 'other';
  }
}

function serialize(notification: Notification): string {
  let text: string | undefined;
  try {
    if (typeof notification?.method === 'string') text = JSON.stringify(notification);
  } catch (cause) {
    throw new SessionError('invalid-message', 'a notification must be a value that JSON can express', { cause });
  }
  if (text === undefined || !isStorable(text)) {
    throw new SessionError('invalid-message', 'a notification must be a JSON-RPC message with a method');
  }
  return text;
}

function assertSubscription(subscription: Subscription, callbacks: SubscriptionCallbacks): void {
  const { id, origin, filters } = subscription ?? {};
  const named = (typeof id === 'string' || typeof id === 'number') && typeof origin === 'string';
  const callable = [callbacks?.acknowledge, callbacks?.send, callbacks?.close].every(
    (call) => typeof call === 'function',
  );
  if (!named || typeof filters !== 'object' || filters === null || !callable) {
    throw new SessionError('invalid-option', 'a subscription needs an id, an origin, filters and its three callbacks');
  }
}
