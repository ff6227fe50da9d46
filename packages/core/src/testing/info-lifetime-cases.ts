import { expect } from 'vitest';
import { sleep } from '../delivery/clock.ts';
import type { InfoCases } from './info-backend.ts';
import { getters, setters } from './info-value-cases.ts';
import { until } from './until.ts';

const CLIENT = { name: 'client', version: '1.0.0' };
const notFound = expect.objectContaining({ code: 'not-found' });
const closed = expect.objectContaining({ code: 'closed' });

/** How sessions, and managers, come to their end. */
export const infoLifetimeCases: InfoCases = {
  'info/delete: everything of the session is forgotten everywhere, nothing of others': async ({ a, b }) => {
    for (const id of ['one', 'two']) for (const set of setters(a, id).slice(0, 4)) await set();
    await b.delete('one');
    for (const manager of [a, b]) {
      for (const get of getters(manager, 'one')) await expect(get()).rejects.toEqual(notFound);
      expect(await manager.getSubscriptions('test://one')).toEqual(['two']);
      expect(await manager.getClientInfo('two')).toEqual(CLIENT);
    }
  },

  'info/delete-unknown: deleting what does not exist, twice and at once, is no error': async ({ a, b, reported }) => {
    await Promise.all([a.delete('unknown'), b.delete('unknown'), a.delete('unknown')]);
    await a.delete('unknown');
    expect(reported).toEqual([]);
  },

  'info/delete-after-writes: writes that nobody awaited do not survive a delete that was called after them': async ({
    a,
    b,
  }) => {
    for (let round = 0; round < 10; round += 1) {
      for (const set of setters(a, 's').slice(0, 4)) void set();
      await a.delete('s');
      await expect(b.getClientInfo('s')).rejects.toEqual(notFound);
      expect(await b.getSubscriptions('test://one')).toEqual([]);
    }
  },

  'info/delete-elsewhere: a delete on another process ends what was stored before it': async ({ a, b }) => {
    for (let round = 0; round < 10; round += 1) {
      await a.setClientInfo('s', CLIENT);
      await b.delete('s');
      await expect(a.getClientInfo('s')).rejects.toEqual(notFound);
    }
  },

  'info/after-delete: the id can be used again, on the same process and on others': async ({ a, b }) => {
    for (let round = 0; round < 10; round += 1) {
      const version = String(round);
      void a.setLogLevel('s', 'debug');
      void a.delete('s');
      void a.setClientInfo('s', { name: 'again', version });
      expect(await a.getClientInfo('s')).toEqual({ name: 'again', version });
      await expect(a.getLogLevel('s')).rejects.toEqual(notFound);
      await a.delete('s');
      await b.setClientInfo('s', { name: 'elsewhere', version });
      expect(await a.getClientInfo('s')).toEqual({ name: 'elsewhere', version });
    }
  },

  'info/namespaces: sessions and subscriptions of different namespaces never meet': async ({ a, open }) => {
    const other = open({ namespace: 'other' });
    await a.setClientInfo('s', CLIENT);
    await a.addSubscription('s', 'test://r');
    await expect(other.getClientInfo('s')).rejects.toEqual(notFound);
    expect(await other.getSubscriptions('test://r')).toEqual([]);
    await other.setClientInfo('s', { ...CLIENT, version: '2' });
    await other.addSubscription('s2', 'test://r');
    await other.delete('s');
    expect(await a.getClientInfo('s')).toEqual(CLIENT);
    expect(await a.getSubscriptions('test://r')).toEqual(['s']);
    expect(await other.getSubscriptions('test://r')).toEqual(['s2']);
  },

  'info/sliding-ttl: a session is kept as long as it is used, then forgotten as a whole': async ({ open }) => {
    const manager = open({ namespace: 'short', infoTtlMs: 1_500 });
    await manager.setClientInfo('s', CLIENT);
    await manager.addSubscription('s', 'test://r');
    for (let step = 0; step < 8; step += 1) {
      await sleep(300);
      expect(await manager.getClientInfo('s')).toEqual(CLIENT);
    }
    // Listing subscribers is no use of the session: it happens whether or not the client is still there.
    await until(async () => (await manager.getSubscriptions('test://r')).length === 0, 'the session to be forgotten');
    await expect(manager.getClientInfo('s')).rejects.toEqual(notFound);
    await manager.setLogLevel('s', 'debug');
    expect(await manager.getLogLevel('s')).toBe('debug');
    await expect(manager.getClientInfo('s')).rejects.toEqual(notFound);
    expect(await manager.getSubscriptions('test://r')).toEqual([]);
  },

  'info/closed: a closed manager refuses everything, and none of it does harm': async ({ a, reported }) => {
    await a.setClientInfo('s', CLIENT);
    await Promise.all([a.close(), a.close()]);
    await a.close();
    for (const call of [...setters(a, 's'), ...getters(a, 's')]) await expect(call()).rejects.toEqual(closed);
    for (const set of setters(a, 's')) void set();
    expect(await a.getSubscriptions('test://r')).toEqual([]);
    await a.delete('s');
    expect(reported).toEqual(Array.from({ length: 12 }, () => 'closed'));
    expect(await a.health()).toMatchObject({ ok: false });
  },

  'info/close-before-use: a manager that was never used can be closed': async ({ open }) => {
    await open({ namespace: 'unused' }).close();
  },

  'info/health: a manager whose backend answers is healthy': async ({ a }) => {
    expect(await a.health()).toMatchObject({ ok: true });
  },
};

/** What outlives the process that stored it. */
export const infoRestartCases: InfoCases = {
  'info/close-flushes: what was set before close() is stored when it resolves': async ({ b, open }) => {
    const third = open();
    void third.setClientInfo('s', CLIENT);
    void third.addSubscription('s', 'test://r');
    await third.close();
    expect(await b.getClientInfo('s')).toEqual(CLIENT);
    expect(await b.getSubscriptions('test://r')).toEqual(['s']);
  },
};
