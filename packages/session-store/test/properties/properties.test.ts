import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionStore } from '@tmcp/session-store';
import { FileStorageBackend } from '@tmcp/session-store/file';
import { MemoryStorageBackend, type MemoryStorageOptions } from '@tmcp/session-store/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareText } from '../../src/text.ts';
import { changes, id, session, text } from './arbitraries.ts';
import { byteOrder, type Clock, MAX_PENDING_MS, SessionModel } from './session-model.ts';

type Backend = { readonly store: SessionStore; readonly reopen: () => SessionStore; readonly end: () => Promise<void> };
type MakeBackend = (options: MemoryStorageOptions) => Promise<Backend>;

const backends: Readonly<Record<string, { make: MakeBackend; runs: number }>> = {
  memory: {
    runs: 250,
    make: async (options) => {
      const store = new MemoryStorageBackend(options);
      return { store, reopen: () => store, end: () => store.disconnect() };
    },
  },
  file: {
    runs: 25,
    make: async (options) => {
      const folder = await mkdtemp(join(tmpdir(), 'properties-'));
      const stores: SessionStore[] = [];
      const reopen = (): SessionStore => {
        const store = new FileStorageBackend({ ...options, path: join(folder, 's.json') });
        stores.push(store);
        return store;
      };
      const end = async (): Promise<void> => {
        for (const store of stores) await store.disconnect();
        await rm(folder, { recursive: true });
      };
      return { store: reopen(), reopen, end };
    },
  },
};

const KEYS = [
  { userId: 'a', sessionId: 'b:c' },
  { userId: 'a', sessionId: '\uffff' },
  { userId: 'a', sessionId: '😀' },
  { userId: 'a:b', sessionId: 'c' },
  { userId: '__proto__', sessionId: 'constructor' },
];
const START = 1_795_000_000_000;

const key = fc.constantFrom(...KEYS);
// Few keys and few times: histories are of interest where their steps meet.
const recently = fc.constantFrom(-1_000, -1_000, -1_000, -500_000, 1_000_000, -700_000, -4_000_000_000);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('create' as const),
      session: fc
        .tuple(key, recently, fc.option(recently), fc.constantFrom('pending', 'active', undefined))
        .chain(([pair, created, updated, status]) =>
          session(pair, START + created).map((given) => ({
            ...given,
            status,
            ...(updated === null ? {} : { updatedAt: START + updated }),
          })),
        ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('update' as const),
      key,
      change: fc.oneof(changes(), fc.record({ status: fc.constantFrom('pending', 'active') })),
      guard: fc.constantFrom('none', 'none', 'right', 'wrong'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('touch' as const), key }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('clearCredentials' as const), key }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('sweep' as const), batch: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 1_000, 300_000, 550_000, 550_000, 590_000, 601_000, 1_500_000_000, 2_592_000_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('reopen' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('clearAll' as const), really: fc.nat(7).map((n) => n === 0) }),
  },
);

const CLEARED = { tokens: null, clientInformation: null, codeVerifier: null, clientId: null, oauthState: null };

const withoutVersion = (found: object | null): object | null => {
  if (found === null) return null;
  const { version, ...rest } = found as { version?: unknown };
  return rest;
};

async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error: { code?: string }) => error.code ?? String(error),
  );
}

async function checkHistory(
  make: MakeBackend,
  encryption: string | false,
  steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[],
): Promise<void> {
  const clock: Clock = { now: START };
  const {
    store: first,
    reopen,
    end,
  } = await make({
    now: () => clock.now,
    encryption,
    maxPendingMs: MAX_PENDING_MS,
  });
  let store = first;
  const model = new SessionModel(clock);
  try {
    for (const now of steps) {
      if (now.does === 'create') expect(await codeOf(store.create(now.session))).toBe(model.create(now.session));
      if (now.does === 'update') {
        const { userId, sessionId } = now.key;
        const current = (await store.get(userId, sessionId))?.version;
        const off = now.guard === 'wrong' ? 1 : 0;
        const ifVersion = now.guard === 'none' || current === undefined ? undefined : current + off;
        const known = model.version(userId, sessionId);
        const atVersion = ifVersion === undefined || known === undefined ? undefined : known + off;
        expect(await codeOf(store.update(userId, sessionId, now.change, { ifVersion }))).toBe(
          model.update(userId, sessionId, now.change, atVersion),
        );
      }
      if (now.does === 'touch') {
        expect(await codeOf(store.touch(now.key.userId, now.key.sessionId))).toBe(
          model.update(now.key.userId, now.key.sessionId, {}),
        );
      }
      if (now.does === 'clearCredentials') {
        expect(await codeOf(store.clearCredentials(now.key.userId, now.key.sessionId))).toBe(
          model.update(now.key.userId, now.key.sessionId, CLEARED),
        );
      }
      if (now.does === 'delete') {
        await store.delete(now.key.userId, now.key.sessionId);
        model.delete(now.key.userId, now.key.sessionId);
      }
      if (now.does === 'sweep') await store.sweep({ batch: now.batch });
      if (now.does === 'clearAll' && now.really) {
        await store.clearAll();
        model.clear();
      }
      if (now.does === 'wait') clock.now += now.ms;
      if (now.does === 'reopen') store = reopen();
      for (const { userId, sessionId } of KEYS) {
        const found = await store.get(userId, sessionId, { includeCredentials: true });
        expect(withoutVersion(found)).toEqual(model.get(userId, sessionId));
      }
      for (const userId of new Set(KEYS.map((pair) => pair.userId))) {
        const listed = await store.list(userId, { includeCredentials: true });
        expect(listed.map(withoutVersion)).toEqual(model.list(userId));
      }
    }
  } finally {
    await end();
  }
}

describe.each(Object.entries(backends))('properties of %s', (_name, { make, runs }) => {
  it('properties/history: any sequence of calls does what the model does', { timeout: 120_000 }, async () => {
    await fc.assert(
      // What is checked after each step costs most of the time when everything has to be decrypted for it.
      fc.asyncProperty(
        fc.constantFrom<string | false>(false, false, false, false, '3c'.repeat(32)),
        fc.array(step, { maxLength: 60, size: 'max' }),
        (encryption, steps) => checkHistory(make, encryption, steps),
      ),
      { numRuns: runs },
    );
  });

  it('properties/round-trip: every session comes back as it was given', { timeout: 120_000 }, async () => {
    const { store, reopen, end } = await make({ encryption: '3c'.repeat(32) });
    const createdAt = Date.now() - 1_000;
    const any = fc.tuple(id(), id()).chain(([userId, sessionId]) => session({ userId, sessionId }, createdAt));
    await fc.assert(
      fc.asyncProperty(any, async (given) => {
        const { userId, sessionId } = given;
        await store.delete(userId, sessionId);
        await store.create(given);
        const found = await reopen().get(userId, sessionId, { includeCredentials: true });
        const present = Object.fromEntries(
          Object.entries(given).filter(([, value]) => value !== null && value !== undefined),
        );
        expect(found).toEqual({
          ...present,
          status: given.status ?? 'pending',
          updatedAt: found?.updatedAt,
          version: found?.version,
          expiresAt: given.status === 'active' ? null : createdAt + 600_000,
        });
      }),
      { numRuns: runs },
    );
    await end();
  });

  it('properties/keys: sessions of different pairs of ids never meet', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(id(), id()), { minLength: 2, maxLength: 12, selector: (pair) => JSON.stringify(pair) }),
        async (pairs) => {
          const { store, end } = await make({ encryption: false });
          const common = { serverUrl: 'u', callbackUrl: 'c', transportType: 'sse' as const, createdAt: Date.now() };
          for (const [userId, sessionId] of pairs) {
            await store.create({ ...common, userId, sessionId, clientId: JSON.stringify([userId, sessionId]) });
          }
          for (const [userId, sessionId] of pairs) {
            expect((await store.getCredentials(userId, sessionId))?.clientId).toBe(JSON.stringify([userId, sessionId]));
            const own = pairs.filter(([other]) => other === userId).map(([, other]) => other);
            expect(await store.listIds(userId)).toEqual(own.sort(byteOrder));
          }
          expect((await store.listAllIds()).length).toBe(pairs.length);
          await end();
        },
      ),
      { numRuns: runs },
    );
  });
});

describe('properties of text', () => {
  it('properties/order: texts are compared as their UTF-8 bytes are', () => {
    fc.assert(
      fc.property(text(8), text(8), (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Math.sign(byteOrder(a, b)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('properties/refused: text that cannot be stored is refused wherever it stands', async () => {
    const store = new MemoryStorageBackend({ encryption: false });
    const bad = fc
      .tuple(text(5), fc.constantFrom('\0', '\ud800', '\udfff'), text(5))
      .map((parts) => parts.join(''))
      .filter((value) => value.includes('\0') || !value.isWellFormed());
    const common = { serverUrl: 'u', callbackUrl: 'c', transportType: 'sse' as const, createdAt: Date.now() };
    const places = (value: string): object[] => [
      { userId: value },
      { sessionId: value },
      { serverName: value },
      { serverUrl: value },
      { metadata: { [value]: 1 } },
      { metadata: { list: [[{ deep: value }]] } },
      { headers: { name: value } },
      { headers: { [value]: 'x' } },
      { tokens: { access_token: value, token_type: 'b' } },
      { tokens: { access_token: 'a', token_type: value } },
      { codeVerifier: value },
    ];
    await fc.assert(
      fc.asyncProperty(bad, async (value) => {
        for (const place of places(value)) {
          const given = { ...common, userId: 'u', sessionId: 's', ...place };
          expect(await codeOf(store.create(given))).toBe('validation');
        }
        expect(await store.listAllIds()).toEqual([]);
      }),
      { numRuns: 100 },
    );
    await store.disconnect();
  });
});
