import { expect } from 'vitest';
import { type Cases, expectFailure, ID, session, USER } from '../case-kit.ts';

const HOSTILE = [
  'a:b',
  'a',
  'b:c',
  ':',
  '{}',
  '{a}',
  'a}{b',
  '*',
  '?',
  '[a-z]',
  '%',
  '_',
  "'; DROP TABLE mcp_sessions; --",
  '"',
  '\\',
  '\n',
  ' ',
  ' a',
  'a ',
  'A',
  '__proto__',
  'constructor',
  'toString',
  '😀',
  '\ufeff',
  '\uffff',
  'é',
  'e\u0301',
  '$1',
  '../x',
  '0',
];

/** Ids are data: a pair of them names one session, whatever they hold. */
export const idCases: Cases = {
  'ids/hostile-pairs: every pair of ids is a session of its own': async ({ open }) => {
    const store = await open();
    const pairs = HOSTILE.flatMap((userId, at) => [
      { userId, sessionId: HOSTILE[(at + 7) % HOSTILE.length] ?? 'x' },
      { userId, sessionId: userId },
      { userId: 'a', sessionId: userId === 'a' ? 'b:c-2' : userId },
    ]);
    const distinct = [...new Map(pairs.map((pair) => [JSON.stringify([pair.userId, pair.sessionId]), pair])).values()];
    await Promise.all(
      distinct.map((pair, at) =>
        store.create(session({ ...pair, tokens: { access_token: `t${at}`, token_type: '' } })),
      ),
    );
    await Promise.all(
      distinct.map(async ({ userId, sessionId }, at) => {
        expect(await store.get(userId, sessionId)).toMatchObject({ userId, sessionId });
        expect((await store.getCredentials(userId, sessionId))?.tokens?.access_token).toBe(`t${at}`);
      }),
    );
    await Promise.all(
      HOSTILE.map(async (userId) => {
        const own = distinct.filter((pair) => pair.userId === userId).map((pair) => pair.sessionId);
        expect(new Set(await store.listIds(userId))).toEqual(new Set(own));
        expect((await store.list(userId)).length).toBe(own.length);
      }),
    );
    expect((await store.listAllIds()).sort()).toEqual(distinct.map((pair) => pair.sessionId).sort());
    const locked = distinct.map(async ({ userId, sessionId }) => {
      await store.withLock(userId, sessionId, () => store.delete(userId, sessionId));
      expect(await store.get(userId, sessionId)).toBeNull();
    });
    await Promise.all(locked);
    expect(await store.listAllIds()).toEqual([]);
  },

  'ids/same-session-id-of-two-users: neither sees or changes what is the other’s': async ({ open }) => {
    const store = await open();
    await store.create(session({ userId: 'u1', serverName: 'one' }));
    await store.create(session({ userId: 'u2', serverName: 'two' }));
    await store.update('u1', ID, { serverName: 'changed' });
    await store.delete('u1', ID);
    expect((await store.get('u2', ID))?.serverName).toBe('two');
    expect(await store.get('u1', ID)).toBeNull();
    await expectFailure(store.update('u3', ID, { serverName: 'x' }), 'not_found');
    expect(await store.list('u3')).toEqual([]);
  },

  'ids/limits: ids of the greatest length are stored, longer ones refused': async ({ open }) => {
    const store = await open();
    const userId = `${'€'.repeat(170)}ab`;
    const sessionId = '😀'.repeat(32);
    await store.create(session({ userId, sessionId }));
    expect(await store.get(userId, sessionId)).toMatchObject({ userId, sessionId });
    expect(await store.listIds(userId)).toEqual([sessionId]);
    await expectFailure(store.get(`${userId}c`, sessionId), 'validation', /^Invalid session field userId: /);
    await expectFailure(store.get(userId, `${sessionId}a`), 'validation', /^Invalid session field sessionId: /);
  },

  'ids/refused: empty, missing and invalid ids are refused by every method': async ({ open }) => {
    const store = await open();
    const required = 'userId and sessionId required';
    for (const [userId, sessionId] of [
      ['', ID],
      [USER, ''],
      [undefined, ID],
      [USER, null],
    ] as [string, string][]) {
      await expectFailure(store.create(session({ userId, sessionId })), 'validation', required);
      await expectFailure(store.get(userId, sessionId), 'validation', required);
      await expectFailure(store.update(userId, sessionId, {}), 'validation', required);
      await expectFailure(store.delete(userId, sessionId), 'validation', required);
      await expectFailure(
        store.withLock(userId, sessionId, async () => 1),
        'validation',
        required,
      );
      await expectFailure(store.getCredentials(userId, sessionId), 'validation', required);
    }
    for (const bad of ['a\0b', '\ud800', 'x\udc00y']) {
      await expectFailure(store.get(bad, ID), 'validation', /^Invalid session field userId: /);
      await expectFailure(store.get(USER, bad), 'validation', /^Invalid session field sessionId: /);
      await expectFailure(store.listIds(bad), 'validation', /^Invalid session field userId: /);
    }
    await expectFailure(store.list(''), 'validation', required);
    await expectFailure(
      store.listIds(7 as unknown as string),
      'validation',
      'Invalid session field userId: must be text',
    );
  },
};
