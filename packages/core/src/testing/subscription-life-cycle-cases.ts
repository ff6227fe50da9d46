import { expect } from 'vitest';
import type { Notification } from '../subscription-manager.ts';
import { labels } from './messages.ts';
import type { SubscriptionCases } from './subscription-backend.ts';
import { toolsChanged } from './test-listener.ts';
import { until } from './until.ts';

/** Stopping, and never harming the host. */
export const subscriptionLifeCycleCases: SubscriptionCases = {
  'subscriptions/shutdown: closing the manager ends every subscription with its result': async ({ a, b, listener }) => {
    const [one, two, other] = [listener(), listener(), listener()];
    await one.create(a);
    await two.create(a);
    await other.create(b);
    await a.close();
    expect(one.calls).toEqual(['acknowledge', 'close closed']);
    expect(two.calls).toEqual(['acknowledge', 'close closed']);
    await b.publish(toolsChanged('1'));
    await other.hasExactly(b, ['1']);
  },

  'subscriptions/shutdown-flushes: what was sent before arrives': async ({ b, open, listener }) => {
    const a = open();
    const one = listener();
    await one.create(b);
    for (const label of labels(100)) void a.send(toolsChanged(label));
    await a.close();
    await one.hasExactly(b, labels(100));
  },

  'subscriptions/shutdown-idempotent: closing again, at once or later, does nothing more': async ({
    open,
    listener,
  }) => {
    const [a, unused] = [open(), open()];
    const one = listener();
    await one.create(a);
    await Promise.all([a.close(), a.close(), a[Symbol.asyncDispose]()]);
    await a.close();
    await unused[Symbol.asyncDispose]();
    expect(one.calls).toEqual(['acknowledge', 'close closed']);
  },

  'subscriptions/shutdown-during-create: no subscription is left behind': async ({ open, listener }) => {
    const a = open();
    const one = listener();
    const creating = Promise.resolve(one.create(a)).catch((error: { code: string }) => error.code);
    await a.close();
    expect([true, 'closed']).toContain(await creating);
    expect(one.calls).toEqual((await creating) === true ? ['acknowledge', 'close closed'] : []);
    expect(a.stats().attached).toBe(0);
  },

  'subscriptions/shutdown-stuck: a callback that never ends does not keep the manager from closing': async ({
    open,
    listener,
    takeReports,
  }) => {
    const a = open({ sendTimeoutMs: 2_000 });
    const [stuck, other] = [listener({ onClose: () => new Promise(() => undefined) }), listener()];
    await stuck.create(a);
    await other.create(a);
    await a.close();
    expect(other.calls).toEqual(['acknowledge', 'close closed']);
    expect(takeReports()).toEqual(['timeout']);
  },

  'subscriptions/close-stuck: a stream whose callback never ends can still be closed': async ({
    open,
    listener,
    takeReports,
  }) => {
    const a = open({ sendTimeoutMs: 2_000 });
    const stuck = listener({ onSend: () => new Promise(() => undefined) });
    await stuck.create(a);
    await a.publish(toolsChanged('1'));
    await until(() => stuck.calls.includes('send 1'), 'the first notification');
    expect(await stuck.close(a)).toBe(true);
    expect(stuck.calls).toEqual(['acknowledge', 'send 1', 'close cancelled']);
    expect(takeReports()).toEqual(['timeout']);
    expect(a.stats().attached).toBe(0);
  },

  'subscriptions/closed: a closed manager refuses, and still harms nobody': async ({ open, listener, takeReports }) => {
    const a = open();
    await a.close();
    const one = listener();
    await expect(one.create(a)).rejects.toMatchObject({ code: 'closed' });
    await expect(a.publish(toolsChanged('1'))).rejects.toMatchObject({ code: 'closed' });
    await a.send(toolsChanged('1'));
    expect(takeReports()).toEqual(['closed']);
    expect(await one.close(a)).toBe(false);
    await a.closeAll();
    await a.closeAll('origin', 'closed');
    expect(one.calls).toEqual([]);
    expect(await a.health()).toMatchObject({ ok: false });
  },

  'subscriptions/no-throw: no call throws synchronously, and un-awaited calls reject nowhere': async ({
    a,
    listener,
    takeReports,
  }) => {
    const wrong = [null, 5, 'text', {}, [], '\0'] as never[];
    for (const value of wrong) {
      void a.send(value);
      void a.closeAll(value, value);
      await a.close('x', value, value);
      for (const call of [() => a.create(value, value), () => a.create({ id: 1, origin: 'x', filters: {} }, value)]) {
        const result = call();
        expect(result).toBeInstanceOf(Promise);
        await Promise.resolve(result).catch(() => undefined);
      }
    }
    const one = listener();
    await one.create(a);
    await a.publish(toolsChanged('1'));
    await one.hasExactly(a, ['1']);
    takeReports();
  },

  'subscriptions/unused: notifications cost nothing and fail nowhere where nobody listens': async ({ a, b }) => {
    await a.send(toolsChanged('1'));
    await b.publish({ jsonrpc: '2.0', method: 'notifications/message' } satisfies Notification);
    await a.closeAll();
    expect(a.stats()).toMatchObject({ attached: 0, delivered: 0, sent: 1 });
  },

  'subscriptions/stats: counters count, and a manager that reaches its backend says so': async ({ a, b, listener }) => {
    const [one, two] = [listener(), listener({ filters: { promptsListChanged: true } })];
    await one.create(a);
    await two.create(a);
    for (const label of labels(3)) await b.publish(toolsChanged(label));
    await one.receives('3');
    expect(a.stats()).toMatchObject({ attached: 2, delivered: 3, sent: 0 });
    expect(b.stats()).toMatchObject({ attached: 0, delivered: 0, sent: 3 });
    expect(await a.health()).toMatchObject({ ok: true });
  },
};
