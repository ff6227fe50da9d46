import { expect } from 'vitest';
import { labels } from './messages.ts';
import type { SubscriptionCases } from './subscription-backend.ts';
import { type TestListener, toolsChanged } from './test-listener.ts';
import { turn, until } from './until.ts';

/** Ending subscriptions. */
export const subscriptionCloseCases: SubscriptionCases = {
  'subscriptions/close: a subscription ends with its reason, and gets nothing more': async ({ a, b, listener }) => {
    for (const reason of ['closed', 'cancelled'] as const) {
      const [one, other] = [listener(), listener()];
      await one.create(a);
      await other.create(a);
      await b.publish(toolsChanged('1'));
      await one.receives('1');
      expect(await one.close(a, reason)).toBe(true);
      await b.publish(toolsChanged('2'));
      await other.hasExactly(b, ['1', '2']);
      expect(one.calls).toEqual(['acknowledge', 'send 1', `close ${reason}`]);
      await other.close(a);
    }
    expect(a.stats().attached).toBe(0);
  },

  'subscriptions/close-unknown: what is not registered here is not closed': async ({ a, b, listener }) => {
    const one = listener({ id: 7 });
    const { origin } = one.subscription;
    await one.create(a);
    expect(await a.close(8, origin, 'closed')).toBe(false);
    expect(await a.close('7', origin, 'closed')).toBe(false);
    expect(await a.close(7, 'session-id', 'cancelled')).toBe(false);
    expect(await b.close(7, origin, 'closed')).toBe(false);
    await b.closeAll(undefined, 'closed');
    await b.publish(toolsChanged('1'));
    await one.hasExactly(b, ['1']);
    expect(await one.close(a)).toBe(true);
    expect(await one.close(a)).toBe(false);
  },

  'subscriptions/close-repeated: calls at once share one ending': async ({ a, listener }) => {
    const one = listener({ onClose: () => turn() });
    await one.create(a);
    expect(await Promise.all([one.close(a, 'closed'), one.close(a), one.close(a)])).toEqual([true, true, true]);
    expect(one.calls).toEqual(['acknowledge', 'close closed']);
    expect(await one.close(a)).toBe(false);
  },

  'subscriptions/close-then-create: a pair that was closed is free again': async ({ a, listener }) => {
    const one = listener();
    await one.create(a);
    await one.close(a);
    const again = listener(one.subscription);
    expect(await again.create(a)).toBe(true);
    await a.publish(toolsChanged('1'));
    await again.hasExactly(a, ['1']);
    expect(one.labels).toEqual([]);
  },

  'subscriptions/close-during-create: a close from before the acknowledgement ends it once that is done': async ({
    a,
    listener,
  }) => {
    let acknowledged = (): void => undefined;
    const one = listener({ onAcknowledge: () => new Promise((resolve) => (acknowledged = resolve)) });
    const creating = one.create(a);
    await until(() => one.calls.includes('acknowledge'), 'the call of acknowledge');
    const closing = Promise.all([one.close(a), one.close(a, 'closed')]);
    await a.publish(toolsChanged('1'));
    acknowledged();
    await creating;
    expect(await closing).toEqual([true, true]);
    expect(one.calls).toEqual(['acknowledge', 'close cancelled']);
    expect(a.stats().attached).toBe(0);
  },

  'subscriptions/close-in-acknowledge: a transport that finds its client gone closes while it acknowledges': async ({
    a,
    listener,
  }) => {
    let closing: ReturnType<TestListener['close']> | undefined;
    const one: TestListener = listener({
      onAcknowledge: () => {
        closing = one.close(a);
      },
    });
    await one.create(a);
    expect(await closing).toBe(true);
    await a.publish(toolsChanged('1'));
    expect(one.calls).toEqual(['acknowledge', 'close cancelled']);
    expect(a.stats().attached).toBe(0);
  },

  'subscriptions/close-all: every subscription of this process, or of one origin, with one reason': async ({
    a,
    b,
    listener,
  }) => {
    const origin = 'shared';
    const [one, two, other] = [listener({ origin }), listener({ origin }), listener()];
    const elsewhere = listener({ origin });
    for (const each of [one, two, other]) await each.create(a);
    await elsewhere.create(b);
    await a.closeAll('unknown');
    await a.closeAll(origin);
    expect(one.calls).toEqual(['acknowledge', 'close cancelled']);
    expect(two.calls).toEqual(['acknowledge', 'close cancelled']);
    await b.publish(toolsChanged('1'));
    await other.hasExactly(b, ['1']);
    await elsewhere.hasExactly(a, ['1']);
    await a.closeAll(undefined, 'closed');
    expect(other.calls.at(-1)).toBe('close closed');
    await elsewhere.hasExactly(a, ['1']);
  },

  'subscriptions/close-fails: a close that fails is reported, and the subscription is gone all the same': async ({
    a,
    listener,
    takeReports,
  }) => {
    const failing = listener({
      onClose: () => {
        throw new Error('once');
      },
    });
    const rejecting = listener({ onClose: () => Promise.reject(new Error('again')) });
    const other = listener();
    for (const each of [failing, rejecting, other]) await each.create(a);
    expect(await failing.close(a)).toBe(true);
    await a.closeAll(undefined, 'closed');
    expect(takeReports()).toEqual(['callback-failed', 'callback-failed']);
    expect(other.calls).toEqual(['acknowledge', 'close closed']);
    expect(a.stats().attached).toBe(0);
    expect(await listener(failing.subscription).create(a)).toBe(true);
  },

  'subscriptions/close-in-send: a transport that finds its client gone closes while it sends': async ({
    a,
    b,
    listener,
  }) => {
    let closing: ReturnType<TestListener['close']> | undefined;
    const one: TestListener = listener({
      onSend: () => {
        closing = one.close(a);
      },
    });
    const other = listener();
    await one.create(a);
    await other.create(a);
    await Promise.all(labels(5).map((label) => b.publish(toolsChanged(label))));
    await other.hasExactly(b, labels(5));
    expect(await closing).toBe(true);
    expect(one.calls).toEqual(['acknowledge', 'send 1', 'close cancelled']);
  },
};
