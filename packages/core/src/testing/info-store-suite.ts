import { expect } from 'vitest';
import type { InfoRow, InfoStore } from '../info/info-store.ts';
import { type CaseOptions, registerCases } from './cases.ts';

export type InfoStoreSuite = CaseOptions & {
  readonly name: string;
  /** A fresh, empty store. */
  readonly setUp: () => Promise<{ readonly store: InfoStore; cleanUp(): Promise<void> }>;
};

const now = (): number => 0;
/** Longer than anything takes that a case does meanwhile. */
const earlier = (): number => 60_000;
const JSON_TEXT = '"debug"';

/** Absent and undefined are the same. */
const present = (row: InfoRow): InfoRow =>
  Object.fromEntries(Object.entries(row).filter(([, json]) => json !== undefined));

const cases: Readonly<Record<string, (store: InfoStore) => Promise<void>>> = {
  'info-store/row: a session is read as a whole, an unknown one is empty': async (store) => {
    await store.write('s', 'logLevel', JSON_TEXT, now);
    await store.write('s', 'clientInfo', '{"a":"\\u0000"}', now);
    await store.write('s', 'clientCapabilities', '{}', now);
    expect(present(await store.read('s'))).toEqual({
      logLevel: JSON_TEXT,
      clientInfo: '{"a":"\\u0000"}',
      clientCapabilities: '{}',
    });
    expect(present(await store.read('unknown'))).toEqual({});
  },

  'info-store/repeatable: every call may be made again': async (store) => {
    for (let time = 0; time < 2; time += 1) {
      await store.write('s', 'logLevel', JSON_TEXT, now);
      await store.subscribe('s', 'test://r', now);
      await store.unsubscribe('s', 'test://other', now);
    }
    expect(present(await store.read('s'))).toEqual({ logLevel: JSON_TEXT });
    expect(await store.subscribers('test://r')).toEqual(['s']);
    for (let time = 0; time < 2; time += 1) await store.delete('s', now);
    expect(present(await store.read('s'))).toEqual({});
  },

  'info-store/late-write: a write called before the deletion does not bring the session back': async (store) => {
    await store.write('s', 'clientInfo', '{}', now);
    await store.delete('s', now);
    await store.write('s', 'clientInfo', '{}', earlier);
    await store.subscribe('s', 'test://r', earlier);
    expect(present(await store.read('s'))).toEqual({});
    expect(await store.subscribers('test://r')).toEqual([]);
  },

  'info-store/late-write-unknown: a deletion is remembered for sessions that were never seen': async (store) => {
    await store.delete('s', now);
    await store.write('s', 'clientInfo', '{}', earlier);
    expect(present(await store.read('s'))).toEqual({});
  },

  'info-store/late-write-after-return: nor when the id is in use again': async (store) => {
    await store.delete('s', now);
    await store.write('s', 'clientInfo', '{}', now);
    await store.write('s', 'logLevel', JSON_TEXT, earlier);
    await store.subscribe('s', 'test://r', earlier);
    expect(present(await store.read('s'))).toEqual({ clientInfo: '{}' });
    expect(await store.subscribers('test://r')).toEqual([]);
  },

  'info-store/late-delete: a deletion removes only what was called before it': async (store) => {
    await store.write('s', 'logLevel', JSON_TEXT, earlier);
    await store.subscribe('s', 'test://old', earlier);
    await store.write('s', 'clientInfo', '{}', now);
    await store.subscribe('s', 'test://new', now);
    await store.delete('s', () => 30_000);
    expect(present(await store.read('s'))).toEqual({ clientInfo: '{}' });
    expect(await store.subscribers('test://old')).toEqual([]);
    expect(await store.subscribers('test://new')).toEqual(['s']);
  },

  'info-store/late-delete-early: an earlier deletion that arrives later does not forget the later one': async (
    store,
  ) => {
    await store.delete('s', now);
    await store.delete('s', earlier);
    await store.write('s', 'clientInfo', '{}', () => 30_000);
    expect(present(await store.read('s'))).toEqual({});
  },

  'info-store/overtaken: a write that arrives late loses to one that was called after it': async (store) => {
    await store.write('s', 'logLevel', '"info"', now);
    await store.write('s', 'logLevel', JSON_TEXT, earlier);
    expect(present(await store.read('s'))).toEqual({ logLevel: '"info"' });
  },

  'info-store/overtaken-unsubscribe: giving up late spares a subscription that was called after it': async (store) => {
    await store.subscribe('s', 'test://r', now);
    await store.unsubscribe('s', 'test://r', earlier);
    expect(await store.subscribers('test://r')).toEqual(['s']);
    await store.unsubscribe('s', 'test://r', now);
    expect(await store.subscribers('test://r')).toEqual([]);
  },

  'info-store/overtaken-subscribe: subscribing late does not make a subscription older': async (store) => {
    await store.subscribe('s', 'test://r', now);
    await store.subscribe('s', 'test://r', earlier);
    await store.delete('s', () => 30_000);
    expect(await store.subscribers('test://r')).toEqual(['s']);
  },

  'info-store/check: it says when it is well': async (store) => {
    await store.check();
  },
};

/** Registers the cases of the `InfoStore` contract with vitest: above all, who wins when calls arrive late. */
export function infoStoreSuite({ name, setUp, ...options }: InfoStoreSuite): void {
  registerCases(`${name}: info store`, cases, options, async (run) => {
    const { store, cleanUp } = await setUp();
    try {
      await run(store);
    } finally {
      await store.close();
      await cleanUp();
    }
  });
}
