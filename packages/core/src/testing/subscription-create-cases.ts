import { expect } from 'vitest';
import { labels } from './messages.ts';
import type { SubscriptionCases } from './subscription-backend.ts';
import { toolsChanged } from './test-listener.ts';
import { turn, until } from './until.ts';

/** Registering and acknowledging. */
export const subscriptionCreateCases: SubscriptionCases = {
  'subscriptions/acknowledge: a subscription is acknowledged once, before anything is sent': async ({
    a,
    b,
    listener,
  }) => {
    const one = listener();
    const creating = one.create(a);
    const sent = labels(20).map((label) => b.publish(toolsChanged(label)));
    expect(await creating).toBe(true);
    await Promise.all(sent);
    await one.drain(b);
    expect(one.calls[0]).toBe('acknowledge');
    expect(one.calls.filter((call) => call === 'acknowledge')).toHaveLength(1);
  },

  'subscriptions/from-create-on: what is sent after its create reaches a subscription': async ({ a, b, listener }) => {
    for (let round = 0; round < 5; round += 1) {
      const one = listener();
      await one.create(a);
      await b.publish(toolsChanged('1'));
      await one.hasExactly(a, ['1']);
    }
  },

  'subscriptions/again: a pair of id and origin that is registered is refused, and nothing happens to it': async ({
    a,
    listener,
  }) => {
    const one = listener();
    const again = listener(one.subscription);
    expect(await one.create(a)).toBe(true);
    expect(await again.create(a)).toBe(false);
    await a.publish(toolsChanged('1'));
    await one.hasExactly(a, ['1']);
    expect(again.calls).toEqual([]);
  },

  'subscriptions/again-at-once: of two creates of one pair at once, one is refused': async ({ a, listener }) => {
    const one = listener({ onAcknowledge: () => turn() });
    const again = listener(one.subscription);
    expect(await Promise.all([one.create(a), again.create(a)])).toEqual([true, false]);
    await a.publish(toolsChanged('1'));
    await one.hasExactly(a, ['1']);
    expect(again.calls).toEqual([]);
  },

  'subscriptions/id-types: 1, "1" and the 1 of another origin are three subscriptions': async ({ a, listener }) => {
    const origin = 'shared';
    const [number, text, other] = [listener({ id: 1, origin }), listener({ id: '1', origin }), listener({ id: 1 })];
    for (const each of [number, text, other]) expect(await each.create(a)).toBe(true);
    expect(await a.close(1, origin, 'cancelled')).toBe(true);
    await a.publish(toolsChanged('1'));
    await text.hasExactly(a, ['1']);
    await other.hasExactly(a, ['1']);
    expect(number.calls).toEqual(['acknowledge', 'close cancelled']);
  },

  'subscriptions/ids: any id and origin will do': async ({ a, listener }) => {
    const ids = ['', ' ', '__proto__', 'constructor', '\0', 0, -1, 1.5, 2 ** 60];
    const all = ids.flatMap((id) => [listener({ id, origin: '' }), listener({ id, origin: '__proto__' })]);
    for (const each of all) expect(await each.create(a)).toBe(true);
    await a.publish(toolsChanged('1'));
    for (const each of all) await each.hasExactly(a, ['1']);
    for (const each of all) expect(await each.close(a)).toBe(true);
  },

  'subscriptions/buffered: what comes before the acknowledgement is done waits for it, others do not': async ({
    a,
    b,
    listener,
  }) => {
    let acknowledged = (): void => undefined;
    const slow = listener({ onAcknowledge: () => new Promise((resolve) => (acknowledged = resolve)) });
    const other = listener();
    const creating = slow.create(a);
    await other.create(a);
    await until(() => slow.calls.includes('acknowledge'), 'the call of acknowledge');
    for (const label of labels(5)) await b.publish(toolsChanged(label));
    await other.hasExactly(b, labels(5));
    expect(slow.calls).toEqual(['acknowledge']);
    acknowledged();
    expect(await creating).toBe(true);
    await slow.hasExactly(b, labels(5));
  },

  'subscriptions/acknowledge-fails: then create rejects, nothing is sent, and the pair is free again': async ({
    a,
    listener,
  }) => {
    const failures = [
      () => {
        throw new Error('gone');
      },
      () => Promise.reject(new Error('gone')),
      () => turn().then(() => Promise.reject(new Error('gone'))),
    ];
    for (const onAcknowledge of failures) {
      const one = listener({ onAcknowledge });
      const creating = one.create(a);
      const sent = [1, 2, 3].map((label) => a.publish(toolsChanged(`${label}`)));
      await expect(creating).rejects.toThrow('gone');
      await Promise.all(sent);
      expect(await one.close(a)).toBe(false);
      const again = listener(one.subscription);
      expect(await again.create(a)).toBe(true);
      await again.drain(a);
      expect(one.calls).toEqual(['acknowledge']);
      await again.close(a);
    }
    expect(a.stats().attached).toBe(0);
  },

  'subscriptions/acknowledge-hangs: then create rejects in time, and nothing is kept': async ({ open, listener }) => {
    const a = open({ sendTimeoutMs: 2_000 });
    let acknowledged = (): void => undefined;
    const one = listener({ onAcknowledge: () => new Promise((resolve) => (acknowledged = resolve)) });
    await expect(one.create(a)).rejects.toMatchObject({ code: 'timeout' });
    expect(a.stats().attached).toBe(0);
    const other = listener();
    await other.create(a);
    await a.publish(toolsChanged('1'));
    await other.receives('1');
    const again = listener(one.subscription);
    expect(await again.create(a)).toBe(true);
    acknowledged();
    await a.publish(toolsChanged('2'));
    await again.hasExactly(a, ['2']);
    expect(one.labels).toEqual([]);
  },
};
