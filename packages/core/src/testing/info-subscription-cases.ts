import { expect } from 'vitest';
import { type InfoCases, randomText } from './info-backend.ts';

const sorted = async (ids: Promise<string[]>): Promise<string[]> => (await ids).sort();

/** Who subscribed to which resource. */
export const infoSubscriptionCases: InfoCases = {
  'info/subscriptions: sessions of several processes are listed, each once': async ({ a, b }) => {
    await a.addSubscription('one', 'test://r');
    await a.addSubscription('one', 'test://r');
    await b.addSubscription('two', 'test://r');
    await b.addSubscription('three', 'test://other');
    expect(await sorted(a.getSubscriptions('test://r'))).toEqual(['one', 'two']);
    expect(await sorted(b.getSubscriptions('test://r'))).toEqual(['one', 'two']);
    expect(await a.getSubscriptions('test://other')).toEqual(['three']);
  },

  'info/nobody: a resource without subscribers has an empty list': async ({ a }) => {
    expect(await a.getSubscriptions('test://nobody')).toEqual([]);
  },

  'info/many-uris: a session may subscribe to many resources': async ({ a, b }) => {
    const uris = Array.from({ length: 50 }, (_, i) => `test://resource/${i}`);
    await Promise.all(uris.map((uri) => a.addSubscription('s', uri)));
    for (const uri of uris) expect(await b.getSubscriptions(uri)).toEqual(['s']);
  },

  'info/unsubscribe: only this resource of this session is given up': async ({ a, b }) => {
    await a.addSubscription('one', 'test://1');
    await a.addSubscription('one', 'test://2');
    await a.addSubscription('two', 'test://1');
    await b.removeSubscription('one', 'test://1');
    expect(await a.getSubscriptions('test://1')).toEqual(['two']);
    expect(await a.getSubscriptions('test://2')).toEqual(['one']);
  },

  'info/unsubscribe-unknown: giving up what was never subscribed is no error': async ({ a, reported }) => {
    await a.removeSubscription('nobody', 'test://r');
    expect(await a.getSubscriptions('test://r')).toEqual([]);
    expect(reported).toEqual([]);
  },

  'info/subscribed-alone: a subscription needs no client info, and is none': async ({ a, b }) => {
    await a.addSubscription('s', 'test://r');
    expect(await b.getSubscriptions('test://r')).toEqual(['s']);
    await expect(b.getClientInfo('s')).rejects.toMatchObject({ code: 'not-found' });
  },

  'info/subscription-read-your-write: a list sees what was called before it on this process': async ({ a }) => {
    for (let round = 0; round < 5; round += 1) {
      void a.addSubscription('s', 'test://r');
      expect(await a.getSubscriptions('test://r')).toEqual(['s']);
      void a.removeSubscription('s', 'test://r');
      expect(await a.getSubscriptions('test://r')).toEqual([]);
    }
  },

  'info/subscription-order: subscribing and giving up take effect in call order': async ({ a, b }) => {
    for (let round = 0; round < 10; round += 1) {
      void a.addSubscription('s', 'test://r');
      void a.removeSubscription('s', 'test://r');
    }
    await a.addSubscription('s', 'test://r');
    expect(await b.getSubscriptions('test://r')).toEqual(['s']);
  },

  'info/uri-exact: URIs are compared as they are, never as patterns': async ({ a, b }) => {
    const uris = [
      'test://a',
      'test://A',
      'test://a/',
      'test://a%',
      'test://_',
      'test://*',
      "test://'",
      'test://\\',
      'é',
      'e\u0301',
    ];
    await Promise.all(uris.map((uri, i) => a.addSubscription(`s${i}`, uri)));
    for (const [i, uri] of uris.entries()) expect(await b.getSubscriptions(uri)).toEqual([`s${i}`]);
  },

  'info/uri-8-kib: long URIs that do not compress are kept apart': async ({ a, b }) => {
    const start = `test://${randomText(8_192)}`;
    await a.addSubscription('one', `${start}1`);
    await a.addSubscription('two', `${start}2`);
    expect(await b.getSubscriptions(`${start}1`)).toEqual(['one']);
    await b.removeSubscription('one', `${start}1`);
    expect(await a.getSubscriptions(`${start}1`)).toEqual([]);
    expect(await a.getSubscriptions(`${start}2`)).toEqual(['two']);
  },

  'info/uri-longest: 64 KiB are accepted, more is refused': async ({ a, b, reported }) => {
    const uri = '😀'.repeat(16_384);
    await a.addSubscription('s', uri);
    expect(await b.getSubscriptions(uri)).toEqual(['s']);
    await expect(a.addSubscription('s', `${uri}x`)).rejects.toMatchObject({ code: 'invalid-id' });
    expect(await a.getSubscriptions(`${uri}x`)).toEqual([]);
    expect(reported).toEqual(['invalid-id', 'invalid-id']);
  },

  'info/uri-refused: a URI that no store can keep is refused, its list is empty': async ({ a, reported }) => {
    for (const uri of ['', 'a\0', '\ud800']) {
      await expect(a.addSubscription('s', uri)).rejects.toMatchObject({ code: 'invalid-id' });
      await expect(a.removeSubscription('s', uri)).rejects.toMatchObject({ code: 'invalid-id' });
      expect(await a.getSubscriptions(uri)).toEqual([]);
    }
    expect(reported).toHaveLength(9);
  },

  'info/lists-in-order: answers come in the order of the calls': async ({ a }) => {
    await Promise.all(Array.from({ length: 200 }, (_, i) => a.addSubscription(`s${i}`, 'test://many')));
    const order: string[] = [];
    await Promise.all(
      ['test://many', 'test://none', 'test://many', '', 'test://none'].map(async (uri, i) => {
        await a.getSubscriptions(uri);
        order.push(`${i}`);
      }),
    );
    expect(order).toEqual(['0', '1', '2', '3', '4']);
  },
};
