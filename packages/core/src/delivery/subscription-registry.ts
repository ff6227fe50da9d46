import { SessionError } from '../errors.ts';
import {
  type CloseReason,
  matchesSubscription,
  type Notification,
  type Subscription,
  type SubscriptionCallbacks,
} from '../subscription-manager.ts';
import { after } from './clock.ts';
import { withDeadline } from './deadline.ts';

type Registration = {
  readonly subscription: Subscription;
  readonly callbacks: SubscriptionCallbacks;
  /** Settles when everything handed over so far was sent; starts behind the acknowledgement. */
  tail: Promise<void>;
  waitingBytes: number;
  /** More waits than may: whether it is slow shows in the next turn. */
  crowded: boolean;
  /** Nothing is sent any more: it was closed, or never acknowledged. */
  removed: boolean;
  closing: Promise<boolean> | undefined;
};

export type RegistryOptions = {
  readonly callbackTimeoutMs: number;
  readonly maxWaitingBytes: number;
  readonly report: (error: unknown) => void;
};

/**
 * The `subscriptions/listen` streams of this process. Each gets the notifications it filters for in the order they
 * were handed over, the first one after its acknowledgement, none after its close.
 */
export class SubscriptionRegistry {
  readonly #options: RegistryOptions;
  /** By origin, then by id: a number and a text of the same digits are two ids. */
  readonly #origins = new Map<string, Map<string | number, Registration>>();
  #delivered = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    let size = 0;
    for (const registrations of this.#origins.values()) size += registrations.size;
    return size;
  }

  /** Notifications handed to callbacks. */
  get delivered(): number {
    return this.#delivered;
  }

  /**
   * Registers and acknowledges.
   *
   * @returns false when the pair of id and origin is registered already
   * @throws what `acknowledge` threw, or SessionError `timeout`; the registration is forgotten then
   */
  async add(subscription: Subscription, callbacks: SubscriptionCallbacks): Promise<boolean> {
    const { id, origin } = subscription;
    const registrations = this.#origins.get(origin) ?? new Map<string | number, Registration>();
    if (registrations.has(id)) return false;
    // It is registered before it is acknowledged: a transport that finds its client gone closes from inside that call.
    const acknowledged = withDeadline(
      Promise.resolve().then(() => callbacks.acknowledge()),
      this.#options.callbackTimeoutMs,
      () => new SessionError('timeout', 'the subscription was not acknowledged within "sendTimeoutMs"'),
    );
    const registration: Registration = {
      subscription,
      callbacks,
      tail: acknowledged.catch(() => this.#remove(registration)),
      waitingBytes: 0,
      crowded: false,
      removed: false,
      closing: undefined,
    };
    registrations.set(id, registration);
    this.#origins.set(origin, registrations);
    await acknowledged;
    return true;
  }

  /** Hands a notification to those it matches. @param bytes its size, for the bound on what waits */
  deliver(notification: Notification, bytes: number): void {
    for (const registrations of this.#origins.values()) {
      for (const registration of registrations.values()) {
        if (!registration.closing && matchesSubscription(registration.subscription.filters, notification)) {
          this.#enqueue(registration, notification, bytes);
        }
      }
    }
  }

  /** Something may have been missed: each stream is told to look again at what it filters for. */
  hint(): void {
    for (const registrations of this.#origins.values()) {
      for (const registration of registrations.values()) {
        if (registration.closing) continue;
        for (const notification of hintsFor(registration.subscription)) this.#enqueue(registration, notification, 128);
      }
    }
  }

  /** @returns false when the pair is unknown */
  close(id: string | number, origin: string, reason: CloseReason): Promise<boolean> {
    const registration = this.#origins.get(origin)?.get(id);
    if (!registration) return Promise.resolve(false);
    registration.closing ??= this.#finish(registration, reason);
    return registration.closing;
  }

  async closeAll(origin: string | undefined, reason: CloseReason): Promise<void> {
    const closing: Promise<boolean>[] = [];
    for (const [from, registrations] of this.#origins) {
      if (origin !== undefined && from !== origin) continue;
      for (const id of registrations.keys()) closing.push(this.close(id, from, reason));
    }
    await Promise.all(closing);
  }

  #enqueue(registration: Registration, notification: Notification, bytes: number): void {
    if (registration.waitingBytes > this.#options.maxWaitingBytes) this.#judgeSoon(registration);
    registration.waitingBytes += bytes;
    registration.tail = registration.tail.then(async () => {
      registration.waitingBytes -= bytes;
      if (registration.closing || registration.removed) return;
      try {
        await registration.callbacks.send(notification);
        this.#delivered += 1;
      } catch (cause) {
        this.#options.report(
          new SessionError('callback-failed', 'a listen stream did not take a notification', { cause }),
        );
      }
    });
  }

  /** What comes in one turn cannot be taken in it: who is slow shows once it could have been. */
  #judgeSoon(registration: Registration): void {
    if (registration.crowded) return;
    registration.crowded = true;
    after(0, () => {
      registration.crowded = false;
      if (registration.closing || registration.waitingBytes <= this.#options.maxWaitingBytes) return;
      this.#options.report(
        new SessionError(
          'slow-reader',
          'a listen stream was ended because more than "maxStreamBufferBytes" waited for its client',
        ),
      );
      registration.closing = this.#finish(registration, 'cancelled', true);
    });
  }

  /** @param atOnce does not wait for what is being sent: it may never end */
  async #finish(registration: Registration, reason: CloseReason, atOnce = false): Promise<boolean> {
    try {
      if (!atOnce) await this.#sent(registration);
      await registration.callbacks.close(reason);
    } catch (cause) {
      this.#options.report(new SessionError('callback-failed', 'a listen stream could not be closed', { cause }));
    } finally {
      this.#remove(registration);
    }
    return true;
  }

  /** Resolves when everything handed over was sent, or a callback has had its time. */
  async #sent({ tail }: Registration): Promise<void> {
    const stuck = (): SessionError => new SessionError('timeout', 'a listen stream did not end within "sendTimeoutMs"');
    await withDeadline(tail, this.#options.callbackTimeoutMs, stuck).catch(this.#options.report);
  }

  #remove(registration: Registration): void {
    registration.removed = true;
    const { id, origin } = registration.subscription;
    const registrations = this.#origins.get(origin);
    if (registrations?.get(id) !== registration) return;
    registrations.delete(id);
    if (registrations.size === 0) this.#origins.delete(origin);
  }
}

function hintsFor({ filters }: Subscription): Notification[] {
  const hint = (method: string, params?: unknown): Notification =>
    params === undefined ? { jsonrpc: '2.0', method } : { jsonrpc: '2.0', method, params };
  const hints: Notification[] = [];
  if (filters.toolsListChanged) hints.push(hint('notifications/tools/list_changed'));
  if (filters.promptsListChanged) hints.push(hint('notifications/prompts/list_changed'));
  if (filters.resourcesListChanged) hints.push(hint('notifications/resources/list_changed'));
  for (const uri of new Set(filters.resourceSubscriptions))
    hints.push(hint('notifications/resources/updated', { uri }));
  return hints;
}
