import { expect } from 'vitest';
import type { Awaitable } from '../awaitable.ts';
import type {
  CloseReason,
  Notification,
  Subscription,
  SubscriptionCallbacks,
  SubscriptionFilter,
  SubscriptionManager,
} from '../subscription-manager.ts';
import { until } from './until.ts';

export type TestListenerOptions = {
  readonly id?: string | number;
  readonly origin?: string;
  /** @default every list change */
  readonly filters?: SubscriptionFilter;
  /** What the callbacks do beside taking notes. */
  readonly onAcknowledge?: () => Awaitable<void>;
  readonly onSend?: (label: string) => Awaitable<void>;
  readonly onClose?: (reason: CloseReason) => Awaitable<void>;
};

const ALL_LISTS: SubscriptionFilter = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
};

type Sender = { publish(notification: Notification): Promise<void> };

let listeners = 0;

/** A notification that is recognized by its label. */
export function toolsChanged(label: string, more: Record<string, unknown> = {}): Notification {
  return { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { label, ...more } };
}

/** The same that a resource has changed. */
export function resourceUpdated(uri: string, label?: string): Notification {
  return { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri, ...(label ? { label } : {}) } };
}

/** One `subscriptions/listen` stream, as the transport sees it. */
export class TestListener {
  readonly subscription: Subscription;
  readonly callbacks: SubscriptionCallbacks;
  /** Calls of the callbacks in their order: `acknowledge`, `send …`, `close …`. */
  readonly calls: string[] = [];
  readonly notifications: Notification[] = [];

  constructor({ id, origin, filters = ALL_LISTS, ...on }: TestListenerOptions = {}) {
    listeners += 1;
    this.subscription = { id: id ?? listeners, origin: origin ?? `origin-${listeners}`, filters };
    this.callbacks = {
      acknowledge: () => {
        this.calls.push('acknowledge');
        return on.onAcknowledge?.();
      },
      send: (notification) => {
        const label = labelOf(notification);
        this.calls.push(`send ${label}`);
        this.notifications.push(notification);
        return on.onSend?.(label);
      },
      close: (reason) => {
        this.calls.push(`close ${reason}`);
        return on.onClose?.(reason);
      },
    };
  }

  /** Labels of what was sent, markers left out. */
  get labels(): string[] {
    const sent = this.calls.filter((call) => call.startsWith('send '));
    return sent.map((call) => call.slice('send '.length)).filter((label) => !label.startsWith('marker '));
  }

  create(manager: SubscriptionManager): Awaitable<boolean> {
    return manager.create(this.subscription, this.callbacks);
  }

  close(manager: SubscriptionManager, reason: CloseReason = 'cancelled'): Awaitable<boolean> {
    return manager.close(this.subscription.id, this.subscription.origin, reason);
  }

  async receives(label: string): Promise<void> {
    await until(
      () => this.calls.includes(`send ${label}`),
      () => `${label}; until now there was ${this.calls.join(', ')}`,
    );
  }

  /** Everything received is exactly this: a marker is sent and awaited first, since order is kept. */
  async hasExactly(sender: Sender, expected: readonly string[]): Promise<void> {
    await this.drain(sender);
    expect(this.labels).toEqual(expected);
  }

  /** Waits until everything that was accepted before has been received. */
  async drain(sender: Sender): Promise<void> {
    listeners += 1;
    const marker = `marker ${listeners}`;
    await sender.publish(markerFor(this.subscription.filters, marker));
    await this.receives(marker);
  }
}

function markerFor(filters: SubscriptionFilter, label: string): Notification {
  const [uri] = filters.resourceSubscriptions ?? [];
  if (uri !== undefined) return resourceUpdated(uri, label);
  const list = filters.toolsListChanged ? 'tools' : filters.promptsListChanged ? 'prompts' : 'resources';
  return { jsonrpc: '2.0', method: `notifications/${list}/list_changed`, params: { label } };
}

function labelOf({ method, params }: Notification): string {
  const { label, uri } = (params ?? {}) as { label?: string; uri?: string };
  return label ?? (uri === undefined ? method : `${method} ${uri}`);
}
