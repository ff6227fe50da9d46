import { expect } from 'vitest';
import type { Session } from '../../session.ts';
import { type Cases, expectFailure, fullSession, session, USER } from '../case-kit.ts';

/** In the order of UTF-8 bytes, where UTF-16 units sort differently. */
const SORTED_IDS = ['A', 'Z', 'a', 'a-', 'aa', 'b', 'é', '\ue000', '\uffff', '\u{10000}', '😀', '\u{10ffff}'];

/** `list`, `listPage`, `listIds`. */
export const listCases: Cases = {
  'list/order: by time of creation, then by id in byte order': async ({ open }) => {
    const store = await open();
    const createdAt = Date.now() - 10_000;
    const shuffled = SORTED_IDS.map((_, at) => SORTED_IDS[(at * 5) % SORTED_IDS.length] ?? '');
    for (const sessionId of shuffled) await store.create(session({ sessionId, createdAt }));
    await store.create(session({ sessionId: 'zz-oldest', createdAt: createdAt - 1 }));
    await store.create(session({ sessionId: '0-newest', createdAt: createdAt + 1 }));
    const expected = ['zz-oldest', ...SORTED_IDS, '0-newest'];
    expect((await store.list(USER)).map((found) => found.sessionId)).toEqual(expected);
    expect(await store.listIds(USER)).toEqual([
      '0-newest',
      ...SORTED_IDS.slice(0, 6),
      'zz-oldest',
      ...SORTED_IDS.slice(6),
    ]);
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.listPage(USER, { limit: 3, cursor });
      expect(page.sessions.length).toBeLessThanOrEqual(3);
      paged.push(...page.sessions.map((found) => found.sessionId));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(paged).toEqual(expected);
  },

  'list/many: more sessions than one page holds': async ({ open }) => {
    const store = await open();
    const createdAt = Date.now() - 10_000;
    const ids = Array.from({ length: 1_205 }, (_, at) => String(at).padStart(5, '0'));
    for (let at = 0; at < ids.length; at += 100) {
      const batch = ids.slice(at, at + 100);
      await Promise.all(batch.map((sessionId) => store.create(session({ sessionId, createdAt }))));
    }
    expect((await store.list(USER)).map((found) => found.sessionId)).toEqual(ids);
    expect(await store.listIds(USER)).toEqual(ids);
    expect((await store.listAllIds()).sort()).toEqual(ids);
    expect((await store.listPage(USER, {})).sessions.length).toBe(100);
    expect((await store.listPage(USER, { limit: 1_000 })).sessions.length).toBe(1_000);
  },

  'list/secrets-on-request: lists hold credentials only when asked for': async ({ open }) => {
    const store = await open();
    await store.create(fullSession());
    const [shown] = await store.list(USER);
    expect(shown).toMatchObject({ headers: fullSession().headers });
    expect(shown).not.toHaveProperty('tokens');
    expect(shown).not.toHaveProperty('clientId');
    const [all] = await store.list(USER, { includeCredentials: true });
    expect(all?.tokens).toEqual(fullSession().tokens);
    const page = await store.listPage(USER, { includeCredentials: true });
    expect(page.sessions).toEqual([all]);
    expect(page.nextCursor).toBeNull();
    expect(await store.get(USER, all?.sessionId ?? '', { includeCredentials: true })).toEqual(all);
  },

  'list/stable-while-changing: paging skips nothing that stays, whatever else changes': async ({ open }) => {
    const store = await open();
    const createdAt = Date.now() - 10_000;
    const ids = Array.from({ length: 20 }, (_, at) => `s${String(at).padStart(2, '0')}`);
    for (const sessionId of ids) await store.create(session({ sessionId, createdAt }));
    const first = await store.listPage(USER, { limit: 5 });
    await store.delete(USER, 's04');
    await store.delete(USER, 's07');
    await store.update(USER, 's09', { serverName: 'changed' });
    await store.create(session({ sessionId: 's00a', createdAt }));
    const rest: Session[] = [];
    let cursor = first.nextCursor ?? undefined;
    while (cursor !== undefined) {
      const page = await store.listPage(USER, { limit: 5, cursor });
      rest.push(...page.sessions);
      cursor = page.nextCursor ?? undefined;
    }
    expect(rest.map((found) => found.sessionId)).toEqual(ids.slice(5).filter((id) => id !== 's07'));
  },

  'list/empty: a user without sessions has empty lists': async ({ open }) => {
    const store = await open();
    expect(await store.list(USER)).toEqual([]);
    expect(await store.listIds(USER)).toEqual([]);
    expect(await store.listPage(USER, {})).toEqual({ sessions: [], nextCursor: null });
    expect(await store.listAllIds()).toEqual([]);
  },

  'list/invalid-page: limits and cursors are checked': async ({ open }) => {
    const store = await open();
    for (const limit of [0, -1, 1_001, 1.5, Number.NaN]) {
      await expectFailure(store.listPage(USER, { limit }), 'validation');
    }
    // No database knows a time so long ago.
    const longAgo = btoa(`[${Number.MIN_SAFE_INTEGER},"aa"]`);
    const forged = [btoa('[1]'), btoa('["1","a"]'), btoa('[1,""]'), '[1,"a"]', longAgo.replaceAll('=', '')];
    for (const cursor of ['', 'x', 'bm9wZQ', ...forged, 5 as never]) {
      await expectFailure(store.listPage(USER, { cursor }), 'validation', 'Invalid cursor');
    }
  },
};
