import { expect } from 'vitest';
import type { Session } from '../../session.ts';
import { type Cases, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';

/** `update`, `touch`, `delete`, versions. */
export const updateCases: Cases = {
  'store/update-merges: undefined leaves a field, null clears it, others replace it': async ({ open }) => {
    const store = await open();
    await store.create(fullSession());
    await store.update(USER, ID, { serverName: 'new', serverId: null, headers: undefined, metadata: { only: 1 } });
    const found = await store.get(USER, ID, { includeCredentials: true });
    expect(found).toMatchObject({ serverName: 'new', headers: fullSession().headers, tokens: fullSession().tokens });
    expect(found?.metadata).toEqual({ only: 1 });
    expect(found).not.toHaveProperty('serverId');
  },

  'store/update-missing: a session that does not exist is not made': async ({ open }) => {
    const store = await open();
    await expectFailure(store.update(USER, ID, { serverName: 'x' }), 'not_found', `Session ${ID} not found`);
    await expectFailure(store.touch(USER, ID), 'not_found', `Session ${ID} not found`);
    expect(await store.get(USER, ID)).toBeNull();
  },

  'store/update-keeps-ids: ids may be repeated, not changed': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.update(USER, ID, { userId: USER, sessionId: ID, serverName: 'x' });
    await expectFailure(
      store.update(USER, ID, { sessionId: 'other' }),
      'validation',
      'Session field sessionId cannot be changed',
    );
    await expectFailure(
      store.update(USER, ID, { userId: 'other' }),
      'validation',
      'Session field userId cannot be changed',
    );
    expect((await store.get(USER, ID))?.serverName).toBe('x');
  },

  'store/update-ignores-what-the-store-decides: times and version in the data have no effect': async ({ open }) => {
    const store = await open();
    const createdAt = Date.now() - 5_000;
    await store.create(session({ createdAt }));
    await store.update(USER, ID, { createdAt: 1, updatedAt: 1, version: 1, expiresAt: 1, serverName: 'x' });
    const found = await store.get(USER, ID);
    expect(found?.createdAt).toBe(createdAt);
    expect(found?.updatedAt).toBeGreaterThan(createdAt - 60_000);
    expect(found?.version).toBeGreaterThan(1);
  },

  'store/update-refuses: unknown fields, wrong values and cleared required fields change nothing': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const before = await store.get(USER, ID);
    const bad = { nonsense: 1 } as Partial<Session>;
    await expectFailure(store.update(USER, ID, bad), 'validation', 'Unknown session field nonsense');
    const cleared = { serverUrl: null } as unknown as Partial<Session>;
    await expectFailure(
      store.update(USER, ID, cleared),
      'validation',
      'Invalid session field serverUrl: cannot be cleared',
    );
    const status = { status: 'done' } as unknown as Partial<Session>;
    await expectFailure(store.update(USER, ID, status), 'validation', /^Invalid session field status: /);
    expect(await store.get(USER, ID)).toEqual(before);
  },

  'store/update-version: every change of content raises the version, by one': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const version = async (): Promise<number> => (await store.get(USER, ID))?.version ?? expect.unreachable();
    const first = await version();
    await store.update(USER, ID, { serverName: 'x' });
    expect(await version()).toBe(first + 1);
    await store.update(USER, ID, { status: 'active' });
    expect(await version()).toBe(first + 2);
    await store.patchCredentials(USER, ID, { codeVerifier: 'v' });
    expect(await version()).toBe(first + 3);
    await store.clearCredentials(USER, ID);
    expect(await version()).toBe(first + 4);
  },

  'store/touch-keeps-version: touch and an empty update move the time and nothing else': async ({ open }) => {
    const store = await open();
    const updatedAt = Date.now() - 50_000;
    await store.create(fullSession({ createdAt: updatedAt, updatedAt }));
    const before = (await store.get(USER, ID, { includeCredentials: true })) ?? expect.unreachable();
    expect(before.updatedAt).toBe(updatedAt);
    await store.touch(USER, ID);
    const touched = (await store.get(USER, ID, { includeCredentials: true })) ?? expect.unreachable();
    expect(touched.updatedAt).toBeGreaterThan(updatedAt);
    expect({ ...touched, updatedAt: 0 }).toEqual({ ...before, updatedAt: 0 });
    await store.update(USER, ID, {});
    await store.update(USER, ID, { serverName: undefined, userId: USER, createdAt: 4 });
    expect((await store.get(USER, ID))?.version).toBe(before.version);
  },

  'store/if-version: a write for another version is refused and changes nothing': async ({ open }) => {
    const store = await open();
    await store.create(fullSession());
    const before = (await store.get(USER, ID, { includeCredentials: true })) ?? expect.unreachable();
    const ifVersion = (before.version ?? 0) - 1;
    const message = `Session ${ID} was changed by another writer`;
    await expectFailure(store.update(USER, ID, { serverName: 'x' }, { ifVersion }), 'conflict', message);
    await expectFailure(store.update(USER, ID, {}, { ifVersion }), 'conflict', message);
    await expectFailure(store.patchCredentials(USER, ID, { clientId: 'x' }, { ifVersion }), 'conflict', message);
    await expectFailure(store.clearCredentials(USER, ID, { ifVersion }), 'conflict', message);
    await expectFailure(store.delete(USER, ID, { ifVersion }), 'conflict', message);
    expect(await store.get(USER, ID, { includeCredentials: true })).toEqual(before);
    await store.update(USER, ID, { serverName: 'x' }, { ifVersion: before.version });
    await store.delete(USER, ID, { ifVersion: (before.version ?? 0) + 1 });
    expect(await store.get(USER, ID)).toBeNull();
  },

  'store/recreated-session-has-new-version: no version of a deleted session comes back': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await Promise.all(Array.from({ length: 50 }, (_, at) => store.update(USER, ID, { serverName: String(at) })));
    const old = (await store.get(USER, ID))?.version ?? expect.unreachable();
    await store.delete(USER, ID);
    await store.create(session());
    const version = (await store.get(USER, ID))?.version ?? expect.unreachable();
    expect(version).toBeGreaterThan(old);
    await expectFailure(store.update(USER, ID, { serverName: 'x' }, { ifVersion: old }), 'conflict');
  },

  'store/delete-idempotent: deleting again, or what never was, is no failure': async ({ open }) => {
    const store = await open();
    await store.create(fullSession());
    await store.delete(USER, ID);
    await store.delete(USER, ID);
    await store.delete(USER, 'never', { ifVersion: 1 });
    expect(await store.get(USER, ID)).toBeNull();
    expect(await store.getCredentials(USER, ID)).toBeNull();
    expect(await store.listIds(USER)).toEqual([]);
  },

  'store/delete-takes-credentials: a session of the same ids begins without the old ones': async ({ open }) => {
    const store = await open();
    await store.create(fullSession());
    await store.delete(USER, ID);
    await store.create(session());
    const { version, ...credentials } = (await store.getCredentials(USER, ID)) ?? expect.unreachable();
    expect(credentials).toEqual({});
    const found = await store.get(USER, ID);
    for (const name of ['headers', 'metadata', 'authUrl', 'serverId']) expect(found).not.toHaveProperty(name);
  },
};
