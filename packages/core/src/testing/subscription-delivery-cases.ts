import { expect } from 'vitest';
import { matchesSubscription, type Notification, type SubscriptionFilter } from '../subscription-manager.ts';
import { labels } from './messages.ts';
import type { SubscriptionCases } from './subscription-backend.ts';
import { resourceUpdated, toolsChanged } from './test-listener.ts';
import { turn, until } from './until.ts';

const METHODS = ['tools/list_changed', 'prompts/list_changed', 'resources/list_changed', 'resources/updated'] as const;

/** Every kind of notification, and some that no filter asks for. */
const EVERYTHING: readonly Notification[] = [
  ...METHODS.slice(0, 3).map((name): Notification => ({ jsonrpc: '2.0', method: `notifications/${name}` })),
  resourceUpdated('test://a'),
  resourceUpdated('test://b'),
  resourceUpdated('test://a/'),
  { jsonrpc: '2.0', method: 'notifications/resources/updated' },
  { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 5 } },
  { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } },
  { jsonrpc: '2.0', method: 'tools/list_changed' },
  { jsonrpc: '2.0', method: 'constructor' },
];

const FILTERS: readonly (readonly [SubscriptionFilter, readonly number[]])[] = [
  [{}, []],
  [{ toolsListChanged: true }, [0]],
  [{ promptsListChanged: true }, [1]],
  [{ resourcesListChanged: true }, [2]],
  [{ toolsListChanged: false, promptsListChanged: true, resourcesListChanged: true }, [1, 2]],
  [{ resourceSubscriptions: ['test://a'] }, [3]],
  [{ resourceSubscriptions: ['test://b', 'test://a', 'test://b'], toolsListChanged: true }, [0, 3, 4]],
  [{ resourceSubscriptions: [] }, []],
];

/** Which notifications reach whom, in which order. */
export const subscriptionDeliveryCases: SubscriptionCases = {
  'subscriptions/filters: a notification passes the filters that ask for it, on every node': async ({
    a,
    b,
    listener,
  }) => {
    const ready = { toolsListChanged: true, resourceSubscriptions: ['test://end'] };
    for (const manager of [a, b]) {
      const all = FILTERS.map(([filters, expected]) => ({ one: listener({ filters }), filters, expected }));
      for (const { one } of all) await one.create(manager);
      const end = listener({ filters: ready });
      await end.create(manager);
      for (const notification of EVERYTHING) await a.publish(notification);
      await a.publish(resourceUpdated('test://end', 'end'));
      await end.receives('end');
      for (const { one, filters, expected } of all) {
        expect(one.notifications).toEqual(expected.map((index) => EVERYTHING[index]));
        expect(EVERYTHING.filter((each) => matchesSubscription(filters, each))).toEqual(one.notifications);
      }
      await manager.closeAll();
    }
  },

  'subscriptions/unchanged: a notification arrives as it was sent': async ({ a, b, listener }) => {
    const one = listener();
    await one.create(a);
    const sent: Notification[] = [
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
      toolsChanged('1', { _meta: { 'a/b': [1, null, { c: true }] }, text: 'é漢😀\0\r\n\u2028\\"' }),
      { ...toolsChanged('2'), id: null },
    ];
    for (const notification of sent) await b.publish(notification);
    await one.receives('2');
    expect(one.notifications).toEqual(sent);
  },

  'subscriptions/order: notifications of several senders reach every subscription in the same order': async ({
    a,
    b,
    listener,
  }) => {
    const [one, other] = [listener(), listener()];
    await one.create(a);
    await other.create(b);
    for (const label of labels(200)) {
      void a.send(toolsChanged(`a${label}`));
      void b.send(toolsChanged(`b${label}`));
    }
    await a.publish(toolsChanged('a end'));
    await b.publish(toolsChanged('b end'));
    await one.drain(a);
    await other.hasExactly(a, one.labels);
    expect(one.labels.filter((label) => /^a\d/.test(label))).toEqual(labels(200, 1, 'a'));
    expect(one.labels.filter((label) => /^b\d/.test(label))).toEqual(labels(200, 1, 'b'));
  },

  'subscriptions/slow-callback: one at a time in order, and nobody waits for another': async ({ a, b, listener }) => {
    let running = 0;
    let most = 0;
    const slow = listener({
      onSend: async () => {
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
      },
    });
    let released = (): void => undefined;
    const stuck = listener({ onSend: () => new Promise((resolve) => (released = resolve)) });
    await slow.create(a);
    await stuck.create(a);
    await Promise.all(labels(30).map((label) => b.publish(toolsChanged(label))));
    await slow.hasExactly(b, labels(30));
    expect(most).toBe(1);
    expect(stuck.labels).toEqual(['1']);
    released();
    await stuck.receives('2');
    const closing = stuck.close(a);
    released();
    expect(await closing).toBe(true);
  },

  'subscriptions/failing-callback: a callback that fails is reported and spoils nothing after it': async ({
    a,
    b,
    listener,
    takeReports,
  }) => {
    const failing = listener({
      onSend: (label) => {
        if (label === '2') throw new Error('once');
        return label === '4' ? Promise.reject(new Error('again')) : undefined;
      },
    });
    const other = listener();
    await failing.create(a);
    await other.create(a);
    for (const label of labels(6)) await b.publish(toolsChanged(label));
    await failing.hasExactly(b, labels(6));
    await other.hasExactly(b, labels(6));
    expect(takeReports()).toEqual(['callback-failed', 'callback-failed']);
  },

  'subscriptions/slow-reader: a listener that takes nothing is ended at a bound, without harm to others': async ({
    open,
    b,
    listener,
    takeReports,
  }) => {
    const a = open({ maxStreamBufferBytes: 10_000 });
    const stuck = listener({ onSend: () => new Promise(() => undefined) });
    const other = listener();
    await stuck.create(a);
    await other.create(a);
    for (const label of labels(30)) await b.publish(toolsChanged(label, { text: 'x'.repeat(1_000) }));
    await other.hasExactly(b, labels(30));
    await until(() => stuck.calls.includes('close cancelled'), 'the end of the listener that takes nothing');
    expect(stuck.calls).toEqual(['acknowledge', 'send 1', 'close cancelled']);
    expect(takeReports()).toEqual(['slow-reader']);
    expect(a.stats().attached).toBe(1);
  },

  'subscriptions/burst: what comes at once ends no listener that takes it': async ({ open, b, listener }) => {
    const a = open({ maxStreamBufferBytes: 10_000 });
    const one = listener({ onAcknowledge: () => turn() });
    await one.create(a);
    await Promise.all(labels(100).map((label) => b.publish(toolsChanged(label, { text: 'x'.repeat(1_000) }))));
    await one.hasExactly(b, labels(100));
    expect(one.calls).not.toContain('close cancelled');
  },

  'subscriptions/large: large notifications do not let later ones pass': async ({ a, b, listener }) => {
    const [one, other] = [listener(), listener({ filters: { toolsListChanged: true } })];
    await one.create(a);
    await other.create(b);
    const sizes = [10, 65_000, 10, 66_000, 10, 1_000_000, 10, 10, 65_536, 10];
    await Promise.all(
      sizes.map((size, index) => a.publish(toolsChanged(`${index + 1}`, { text: 'é'.repeat(size / 2) }))),
    );
    for (const each of [one, other]) {
      await each.hasExactly(b, labels(sizes.length));
      const texts = each.notifications.map(({ params }) => (params as { text?: string }).text?.length ?? 0);
      expect(texts.slice(0, sizes.length)).toEqual(sizes.map((size) => size / 2));
    }
  },

  'subscriptions/namespaces: notifications of two namespaces never meet': async ({ open, listener }) => {
    const [a, b] = [open({ namespace: 'one' }), open({ namespace: 'two' })];
    const [one, other] = [listener(), listener()];
    await one.create(a);
    await other.create(b);
    await a.publish(toolsChanged('1'));
    await b.publish(toolsChanged('2'));
    await one.hasExactly(a, ['1']);
    await other.hasExactly(b, ['2']);
  },

  'subscriptions/boot-broadcasts: equal list changes are merged before the first connection, later not': async ({
    a,
    open,
    listener,
  }) => {
    const one = listener({ filters: { toolsListChanged: true, promptsListChanged: true } });
    await one.create(a);
    const booting = open();
    const changed = (list: string): Notification => ({
      jsonrpc: '2.0',
      method: `notifications/${list}/list_changed`,
      params: { label: list },
    });
    await Promise.all(
      [...labels(5).map(() => changed('tools')), changed('prompts')].map((each) => booting.publish(each)),
    );
    await one.hasExactly(booting, ['tools', 'prompts']);
    await Promise.all(labels(3).map(() => booting.publish(changed('tools'))));
    await one.hasExactly(booting, ['tools', 'prompts', 'tools', 'tools', 'tools']);
  },

  'subscriptions/refused: what is no notification, or too large, is refused without a throw': async ({
    open,
    listener,
    takeReports,
  }) => {
    const a = open({ maxMessageBytes: 10_000 });
    const one = listener();
    await one.create(a);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const method = 'notifications/tools/list_changed';
    const wrong = [
      undefined,
      null,
      5,
      'text',
      {},
      [],
      { method: 5 },
      { method, params: circular },
      { method, params: 1n },
    ];
    for (const notification of wrong as Notification[]) {
      await expect(a.publish(notification)).rejects.toMatchObject({ code: 'invalid-message' });
      void a.send(notification);
    }
    await one.hasExactly(a, []);
    expect(takeReports()).toEqual(wrong.map(() => 'invalid-message'));
    const tooLarge = toolsChanged('1', { text: 'é'.repeat(5_000) });
    await expect(a.publish(tooLarge)).rejects.toMatchObject({ code: 'message-too-large' });
    await a.send(tooLarge);
    await one.hasExactly(a, []);
    expect(takeReports()).toEqual(['message-too-large']);
  },

  'subscriptions/hints: where something may have been missed, each listener is told to look again': async ({
    open,
    listener,
    breakContinuity,
    takeReports,
  }) => {
    const [a, b] = [open({ heartbeatMs: 100 }), open({ heartbeatMs: 100 })];
    const lists = listener({ filters: { promptsListChanged: true, toolsListChanged: true } });
    const resources = listener({ filters: { resourceSubscriptions: ['test://a', 'test://b', 'test://a'] } });
    await lists.create(a);
    await resources.create(b);
    await a.publish(toolsChanged('1'));
    await lists.receives('1');
    await breakContinuity();
    await lists.receives('notifications/prompts/list_changed');
    await resources.receives('notifications/resources/updated test://b');
    await a.publish(toolsChanged('2'));
    await lists.hasExactly(b, ['1', 'notifications/tools/list_changed', 'notifications/prompts/list_changed', '2']);
    await resources.hasExactly(
      b,
      ['test://a', 'test://b'].map((uri) => `notifications/resources/updated ${uri}`),
    );
    expect(lists.calls.filter((call) => call.startsWith('close'))).toEqual([]);
    expect(new Set(takeReports())).toEqual(new Set(['discontinuity']));
  },
};
