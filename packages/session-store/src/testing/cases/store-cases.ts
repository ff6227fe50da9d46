import { expect } from 'vitest';
import { type Cases, expectFailure, failure, fullSession, ID, session, USER } from '../case-kit.ts';

/** What concerns the store as a whole. */
export const storeCases: Cases = {
  'store/generate-session-id: ids are made at once, of one letter and 22 letters and digits': async ({ open }) => {
    const store = await open();
    const ids = Array.from({ length: 1_000 }, () => store.generateSessionId());
    for (const id of ids) expect(id).toMatch(/^[A-Za-z][A-Za-z0-9]{22}$/);
    expect(new Set(ids).size).toBe(ids.length);
  },

  'store/init-repeatable: init may be called often, or never': async ({ open }) => {
    const store = await open();
    await Promise.all([store.init(), store.init()]);
    await store.init();
    await store.create(session());
  },

  'store/admin-operations: all ids are listed, and everything can be removed': async ({ open }) => {
    const store = await open();
    for (const userId of ['u1', 'u2', 'u3']) {
      await store.create(session({ userId, sessionId: 'same' }));
      await store.create(session({ userId, sessionId: `of-${userId}` }));
    }
    const expected = ['of-u1', 'of-u2', 'of-u3', 'same', 'same', 'same'];
    expect((await store.listAllIds()).sort()).toEqual(expected);
    const iterated: string[] = [];
    for await (const id of store.iterateAllIds()) iterated.push(id);
    expect(iterated.sort()).toEqual(expected);
    await store.clearAll();
    expect(await store.listAllIds()).toEqual([]);
    expect(await store.listIds('u1')).toEqual([]);
    await store.create(session({ userId: 'u1', sessionId: 'same' }));
  },

  'store/iterate-may-end-early: who leaves the loop leaves nothing open': async ({ open }) => {
    const store = await open();
    for (const sessionId of ['a', 'b', 'c']) await store.create(session({ sessionId }));
    for await (const id of store.iterateAllIds()) {
      expect(['a', 'b', 'c']).toContain(id);
      break;
    }
    expect((await store.listAllIds()).length).toBe(3);
  },

  'store/health: a store that works says so': async ({ open }) => {
    const store = await open();
    const health = await store.health();
    expect(health).toMatchObject({ ok: true, backend: expect.any(String), warnings: expect.any(Array) });
    expect(health.latencyMs).toBeGreaterThanOrEqual(0);
    expect(health.error).toBeUndefined();
  },

  'store/disconnect: after it every call is refused, and disconnecting again is no failure': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.disconnect();
    await store.disconnect();
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.init(),
      () => store.create(session()),
      () => store.update(USER, ID, { serverName: 'x' }),
      () => store.touch(USER, ID),
      () => store.get(USER, ID),
      () => store.list(USER),
      () => store.listPage(USER, {}),
      () => store.listIds(USER),
      () => store.delete(USER, ID),
      () => store.getCredentials(USER, ID),
      () => store.patchCredentials(USER, ID, {}),
      () => store.clearCredentials(USER, ID),
      () => store.consumeOAuthState(USER, ID, 'n'),
      () => store.withLock(USER, ID, async () => undefined),
      () => store.refreshTokens(USER, ID, async () => expect.unreachable()),
      () => store.listAllIds(),
      () => store.clearAll(),
      () => store.cleanupExpired(),
      () => store.sweep(),
      () => store.rekey(),
    ];
    for (const call of calls) await expectFailure(call(), 'closed', 'Session store is closed');
    expect(await store.health()).toMatchObject({ ok: false, error: 'closed' });
    expect(store.generateSessionId()).toHaveLength(23);
  },

  'store/options-of-calls: what is no option, or not of its type, is refused and changes nothing': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const work = async (): Promise<never> => expect.unreachable();
    const calls: ((options: never) => Promise<unknown>)[] = [
      (options) => store.get(USER, ID, options),
      (options) => store.list(USER, options),
      (options) => store.listPage(USER, options),
      (options) => store.update(USER, ID, { serverName: 'x' }, options),
      (options) => store.patchCredentials(USER, ID, { clientId: 'x' }, options),
      (options) => store.clearCredentials(USER, ID, options),
      (options) => store.delete(USER, ID, options),
      (options) => store.sweep(options),
      (options) => store.withLock(USER, ID, work, options),
      (options) => store.refreshTokens(USER, ID, work, options),
    ];
    const before = await store.get(USER, ID);
    for (const call of calls) {
      for (const options of [null, 1, 'SECRET', [], () => undefined]) {
        await expectFailure(call(options as never), 'validation', 'Options must be an object');
      }
      await expectFailure(call({ ifversion: 1 } as never), 'validation', 'Unknown option ifversion');
    }
    const [get, , page, update, , , , sweep, lock, refresh] = calls;
    for (const [call, options, message] of [
      [get, { includeCredentials: 'yes' }, 'Option includeCredentials must be true or false'],
      [page, { limit: '5' }, 'Option limit must be a whole number'],
      [update, { ifVersion: '1' }, 'Option ifVersion must be a whole number'],
      [sweep, { batch: null }, 'Option batch must be a whole number'],
      [lock, { signal: {} }, 'Option signal must be an AbortSignal'],
      [refresh, { staleAccessToken: 1 }, 'Option staleAccessToken must be text'],
    ] as const) {
      await expectFailure(call?.(options as never) ?? expect.unreachable(), 'validation', message);
    }
    await expectFailure(store.withLock(USER, ID, 'work' as never), 'validation', /must be a function$/);
    await expectFailure(store.refreshTokens(USER, ID, undefined as never), 'validation', /must be a function$/);
    expect(await store.get(USER, ID)).toEqual(before);
  },

  'store/errors-hold-no-secrets: an error can be logged as a whole': async ({ open }) => {
    const store = await open();
    const userId = 'SECRET-user';
    await store.create(fullSession({ userId }));
    const errors = [
      await failure(store.create(fullSession({ userId }))),
      await failure(store.update(userId, ID, { serverName: 'x' }, { ifVersion: 1 })),
      await failure(store.update(userId, 'missing', { codeVerifier: 'SECRET-verifier' })),
      await failure(
        store.create(fullSession({ userId, sessionId: 'x', tokens: { access_token: 'SECRET\0' } as never })),
      ),
      await failure(store.listPage(userId, { cursor: 'SECRET' })),
    ];
    for (const error of errors) {
      const shown = [error.message, error.stack, JSON.stringify(error), String(error.cause), `${error}`].join('\n');
      expect(shown).not.toContain('SECRET');
    }
  },
};
