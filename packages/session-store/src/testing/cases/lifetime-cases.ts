import { expect } from 'vitest';
import type { SessionStore } from '../../session-store.ts';
import { type Cases, expectFailure, fullSession, ID, session, USER, until } from '../case-kit.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Sessions of a user, of all users, and of the pair, as every method sees them. */
async function expectInvisible(store: SessionStore): Promise<void> {
  expect(await store.get(USER, ID)).toBeNull();
  expect(await store.getCredentials(USER, ID)).toBeNull();
  expect(await store.list(USER)).toEqual([]);
  expect(await store.listIds(USER)).toEqual([]);
  expect((await store.listPage(USER, {})).sessions).toEqual([]);
  expect(await store.listAllIds()).toEqual([]);
  const message = `Session ${ID} not found`;
  await expectFailure(store.update(USER, ID, { status: 'active' }), 'not_found', message);
  await expectFailure(store.touch(USER, ID), 'not_found', message);
  await expectFailure(store.patchCredentials(USER, ID, { clientId: 'x' }), 'not_found', message);
  await expectFailure(store.clearCredentials(USER, ID), 'not_found', message);
  await expectFailure(
    store.withLock(USER, ID, async () => 1),
    'not_found',
    message,
  );
  await expectFailure(
    store.refreshTokens(USER, ID, async () => expect.unreachable()),
    'not_found',
    message,
  );
  expect(await store.consumeOAuthState(USER, ID, 'n')).toBeNull();
  expect(await store.get(USER, ID)).toBeNull();
}

/** Who lives how long, by the clock of the store. */
export const lifetimeCases: Cases = {
  'life/pending-ends: a pending session ends some time after its creation, unswept': async ({ open }) => {
    const store = await open({ pendingMs: 10 * MINUTE });
    await store.create(fullSession({ status: 'pending', createdAt: Date.now() - 11 * MINUTE }));
    await expectInvisible(store);
  },

  'life/pending-ends-by-itself: it needs no call to end': async ({ open }) => {
    const store = await open({ pendingMs: 1_000 });
    await store.create(session());
    expect(await store.get(USER, ID)).not.toBeNull();
    await until(async () => (await store.get(USER, ID)) === null);
    await expectInvisible(store);
  },

  'life/dormant-ends: an active session ends when it was long not touched, unswept': async ({ open }) => {
    const store = await open();
    const updatedAt = Date.now() - 31 * DAY;
    await store.create(fullSession({ createdAt: updatedAt, updatedAt }));
    await expectInvisible(store);
  },

  'life/active-stays: an old active session lives as long as it is used': async ({ open }) => {
    const store = await open();
    const createdAt = Date.now() - 400 * DAY;
    await store.create(session({ status: 'active', createdAt, updatedAt: Date.now() - 29 * DAY }));
    expect(await store.get(USER, ID)).toMatchObject({ createdAt, expiresAt: null });
    await store.touch(USER, ID);
    expect((await store.get(USER, ID))?.updatedAt).toBeGreaterThan(Date.now() - DAY);
  },

  'life/active-without-update-time: one created long ago counts as used now': async ({ open }) => {
    const store = await open();
    await store.create(session({ status: 'active', createdAt: Date.now() - 400 * DAY }));
    expect((await store.get(USER, ID))?.updatedAt).toBeGreaterThan(Date.now() - DAY);
  },

  'life/expired-is-replaced: the ids of an expired session can be used again': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ status: 'pending', createdAt: Date.now() - 11 * MINUTE }));
    await store.create(session({ serverName: 'second' }));
    const found = await store.get(USER, ID, { includeCredentials: true });
    expect(found?.serverName).toBe('second');
    expect(found).not.toHaveProperty('tokens');
    expect(found).not.toHaveProperty('metadata');
    await expectFailure(store.create(session()), 'exists');
    expect(await store.listIds(USER)).toEqual([ID]);
  },

  'life/expired-is-replaced-with-its-times: also by one with times of its own': async ({ open }) => {
    const store = await open();
    const old = Date.now() - 40 * DAY;
    await store.create(session({ status: 'active', createdAt: old, updatedAt: old }));
    const updatedAt = Date.now() - 2 * DAY;
    await store.create(session({ status: 'active', createdAt: updatedAt - DAY, updatedAt }));
    expect(await store.get(USER, ID)).toMatchObject({ createdAt: updatedAt - DAY, updatedAt });
  },

  'life/future-gives-nothing: times ahead of the clock are those of the clock': async ({ open }) => {
    const store = await open();
    const future = Date.now() + 365 * DAY;
    await store.create(session({ createdAt: future, updatedAt: future }));
    const found = (await store.get(USER, ID)) ?? expect.unreachable();
    expect(found.createdAt).toBeLessThan(future - DAY);
    expect(found.updatedAt).toBeLessThan(future - DAY);
    expect(found.expiresAt).toBe(found.createdAt + 10 * MINUTE);
  },

  'life/pending-is-renewed: update and touch give a pending session its time anew': async ({ open }) => {
    const store = await open();
    const createdAt = Date.now() - 8 * MINUTE;
    await store.create(session({ createdAt }));
    expect((await store.get(USER, ID))?.expiresAt).toBe(createdAt + 10 * MINUTE);
    await store.update(USER, ID, { serverName: 'x' });
    const updated = (await store.get(USER, ID)) ?? expect.unreachable();
    expect(updated.expiresAt).toBe((updated.updatedAt ?? 0) + 10 * MINUTE);
    await store.touch(USER, ID);
    const touched = (await store.get(USER, ID)) ?? expect.unreachable();
    expect(touched.expiresAt).toBe((touched.updatedAt ?? 0) + 10 * MINUTE);
  },

  'life/pending-not-without-end: renewing ends some time after the flow began': async ({ open }) => {
    const store = await open({ pendingMs: 10 * MINUTE, maxPendingMs: 12 * MINUTE });
    const createdAt = Date.now() - 8 * MINUTE;
    await store.create(session({ createdAt }));
    await store.touch(USER, ID);
    expect((await store.get(USER, ID))?.expiresAt).toBe(createdAt + 12 * MINUTE);
    await store.update(USER, ID, { status: 'pending' });
    expect((await store.get(USER, ID))?.expiresAt).toBe(createdAt + 12 * MINUTE);
  },

  'life/re-authorised: an old active session that becomes pending has the whole time': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ createdAt: Date.now() - 5 * DAY }));
    await store.update(USER, ID, { status: 'pending' });
    const found = (await store.get(USER, ID, { includeCredentials: true })) ?? expect.unreachable();
    expect(found.expiresAt).toBe((found.updatedAt ?? 0) + 10 * MINUTE);
    expect(found.tokens).toEqual(fullSession().tokens);
    await store.update(USER, ID, { status: 'active' });
    expect((await store.get(USER, ID))?.expiresAt).toBeNull();
  },

  'life/other-calls-do-not-renew: reads and locks leave the time of the last change': async ({ open }) => {
    const store = await open();
    const updatedAt = Date.now() - 29 * DAY;
    await store.create(fullSession({ createdAt: updatedAt, updatedAt }));
    const before = await store.get(USER, ID, { includeCredentials: true });
    await store.getCredentials(USER, ID);
    await store.list(USER);
    await store.withLock(USER, ID, async () => undefined);
    await store.withLock(USER, ID, async () => undefined);
    expect(await store.get(USER, ID, { includeCredentials: true })).toEqual(before);
    expect(before?.updatedAt).toBe(updatedAt);
  },

  'life/short-dormancy: dormantMs holds for sessions that were there before': async ({ open }) => {
    const store = await open({ dormantMs: 1_000 });
    await store.create(session({ status: 'active' }));
    expect(await store.get(USER, ID)).not.toBeNull();
    await until(async () => (await store.get(USER, ID)) === null);
    await expectInvisible(store);
  },

  'life/sweep: sweeping removes what expired, and nothing else': async ({ open }) => {
    const store = await open();
    const old = Date.now() - 31 * DAY;
    for (let at = 0; at < 7; at += 1) {
      await store.create(session({ sessionId: `p${at}`, createdAt: old }));
      await store.create(session({ sessionId: `d${at}`, status: 'active', createdAt: old, updatedAt: old }));
    }
    await store.create(session({ sessionId: 'pending' }));
    await store.create(session({ sessionId: 'active', status: 'active', createdAt: old }));
    const swept = await store.sweep({ batch: 3 });
    // A backend whose server drops records by itself has nothing to count.
    expect([
      { pending: 7, dormant: 7 },
      { pending: 0, dormant: 0 },
    ]).toContainEqual(swept);
    expect(await store.sweep()).toEqual({ pending: 0, dormant: 0 });
    await store.cleanupExpired();
    expect(await store.listIds(USER)).toEqual(['active', 'pending']);
    await expectFailure(store.sweep({ batch: 0 }), 'validation');
  },
};
