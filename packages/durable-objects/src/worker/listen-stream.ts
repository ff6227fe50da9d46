import {
  type CloseReason,
  type Notification,
  SessionError,
  type Subscription,
  type SubscriptionCallbacks,
  SubscriptionRegistry,
  utf8Length,
} from '@tmcp/session-manager';
import { type Entry, PATHS, PROTOCOL, type Topic, type ToWorker } from '../protocol.ts';
import type { DeliveryConfiguration } from './options.ts';
import { ShardSocket } from './shard-socket.ts';

export type ListenStreamOptions = DeliveryConfiguration & {
  readonly report: (error: unknown) => void;
  readonly onEnd: (stream: ListenStream) => void;
};

const TICK_MS = 10_000;

/**
 * One `subscriptions/listen` response and its connection to a shard, in the request that opened it. Order,
 * acknowledgement and limits are those of core's registry, here with a single subscription.
 */
export class ListenStream {
  readonly #subscription: Subscription;
  readonly #callbacks: SubscriptionCallbacks;
  readonly #options: ListenStreamOptions;
  readonly #registry: SubscriptionRegistry;
  readonly #socket: ShardSocket;
  #epoch = '';
  #position: number | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  /** Handed over before it was acknowledged to anybody: kept until the registry knows it. */
  #early: Entry[] | undefined = [];
  #ended = false;
  /** How it was closed before it was acknowledged. */
  #closedEarly: CloseReason | undefined;

  constructor(subscription: Subscription, callbacks: SubscriptionCallbacks, options: ListenStreamOptions) {
    this.#subscription = subscription;
    this.#callbacks = callbacks;
    this.#options = options;
    const { shards, delivery } = options;
    this.#registry = new SubscriptionRegistry({
      callbackTimeoutMs: delivery.sendTimeoutMs,
      maxWaitingBytes: delivery.maxStreamBufferBytes,
      report: (error) => options.report(error),
    });
    this.#socket = new ShardSocket({
      stub: () => shards.stub(shards.of(subscription.origin)),
      address: () => this.#address(),
      connectTimeoutMs: delivery.sendTimeoutMs,
      onMessage: (message) => this.#receive(message),
      report: options.report,
      // The shard says first whether it can continue.
      onReconnect: () => undefined,
    });
  }

  /** Whether it is registered, or on its way there. */
  get isOpen(): boolean {
    return !this.#ended && (this.#early !== undefined || this.#registry.size > 0);
  }

  get delivered(): number {
    return this.#registry.delivered;
  }

  /** @throws SessionError */
  async connect(): Promise<void> {
    try {
      await this.#socket.open();
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** @throws what `acknowledge` threw, or SessionError `timeout` */
  async acknowledge(): Promise<boolean> {
    const reason = this.#closedEarly;
    try {
      const added = this.#registry.add(this.#subscription, this.#callbacks);
      // Closed before it was acknowledged: the transport wants its acknowledgement before the end.
      if (reason !== undefined) {
        await added;
        await this.#registry.closeAll(undefined, reason);
        return true;
      }
      for (const entry of this.#early ?? []) this.#deliver(entry);
      this.#early = undefined;
      return await added;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async close(reason: CloseReason): Promise<boolean> {
    const { id, origin } = this.#subscription;
    const early = this.#early !== undefined;
    if (early) this.#closedEarly ??= reason;
    try {
      return (await this.#registry.close(id, origin, reason)) || early;
    } finally {
      this.#end();
    }
  }

  #receive(message: ToWorker): void {
    if (message.type === 'begin') {
      this.#epoch = message.epoch;
      const continued = this.#position !== undefined && message.resumed;
      this.#position = message.after;
      if (continued) this.#socket.send({ type: 'pull', after: message.after });
      // One that comes back without a position was cut off before it was told the first one.
      else if (!message.resumed || this.#socket.reconnects > 0) this.#mayHaveMissed();
    } else if (message.type === 'page' || message.type === 'live') {
      for (const entry of message.entries) this.#take(entry);
      if (message.type === 'page' && !message.live) this.#socket.send({ type: 'pull', after: this.#position ?? 0 });
    } else if (message.type === 'gap') {
      // Trimmed between two pages: nothing is lost that a hint does not bring back. It comes with the answer to a
      // position that is gone, when the stream is live again, for what is said before that would be lost as well.
      this.#socket.reopen();
    }
  }

  #mayHaveMissed(): void {
    this.#options.report(
      new SessionError('discontinuity', 'a listen stream may have missed notifications; it was told to look again'),
    );
    this.#registry.hint();
  }

  #take(entry: Entry): void {
    const [seq] = entry;
    if (seq !== 0 && seq <= (this.#position ?? 0)) return;
    if (seq !== 0) this.#position = seq;
    if (this.#early) this.#early.push(entry);
    else this.#deliver(entry);
  }

  #deliver([, data]: Entry): void {
    this.#registry.deliver(JSON.parse(data) as Notification, utf8Length(data));
  }

  #tick(): void {
    // The registry ends a stream that is too slow by itself.
    if (!this.isOpen) this.#end();
    else this.#socket.tick();
  }

  #end(): void {
    this.#ended = true;
    clearInterval(this.#ticker);
    this.#socket.close();
    this.#options.onEnd(this);
  }

  #address(): string {
    const query = new URLSearchParams({ p: String(PROTOCOL), topics: topicsOf(this.#subscription).join() });
    query.set('settings', JSON.stringify(this.#options.shard));
    if (this.#position !== undefined) {
      query.set('epoch', this.#epoch);
      query.set('after', String(this.#position));
    }
    return `${PATHS.listen}?${query}`;
  }
}

function topicsOf({ filters }: Subscription): Topic[] {
  const topics: Topic[] = [];
  if (filters.toolsListChanged) topics.push('tools');
  if (filters.promptsListChanged) topics.push('prompts');
  if (filters.resourcesListChanged) topics.push('resources');
  if (filters.resourceSubscriptions?.length) topics.push('updated');
  return topics;
}
