import { expect } from 'vitest';
import type { SessionMutation } from '../../mutations.ts';
import type { SessionStore } from '../../session-store.ts';
import { type Cases, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';

type Told = { readonly mutations: SessionMutation[]; readonly end: () => void };

function listenTo(store: SessionStore): Told {
  const mutations: SessionMutation[] = [];
  return { mutations, end: store.onMutation((mutation) => mutations.push(mutation)) };
}

/** Without the time. */
const namesOf = (mutations: readonly SessionMutation[]): unknown[] =>
  mutations.map((mutation) =>
    mutation.type === 'clear'
      ? ['clear']
      : [mutation.type, mutation.userId, mutation.sessionId, [...mutation.fields].sort()],
  );

/** Who listens to a store hears of what was changed through it. */
export const mutationCases: Cases = {
  'mutations/told: every change of content is told once, by the names of its fields': async ({ open }) => {
    const store = await open();
    const { mutations } = listenTo(store);
    const began = Date.now();
    await store.create(session({ serverName: 'x', oauthState: { nonce: 'n', createdAt: Date.now() } }));
    await store.update(USER, ID, { status: 'active', serverName: null, tokens: fullSession().tokens });
    await store.patchCredentials(USER, ID, { codeVerifier: 'v' });
    await store.consumeOAuthState(USER, ID, 'n');
    await store.refreshTokens(USER, ID, async () => ({ access_token: 'a2', token_type: 'Bearer' }));
    await store.clearCredentials(USER, ID);
    await store.delete(USER, ID);
    await store.clearAll();
    const required = ['callbackUrl', 'serverUrl', 'transportType'];
    expect(namesOf(mutations)).toEqual([
      ['create', USER, ID, [...required, 'oauthState', 'serverName', 'status'].sort()],
      ['update', USER, ID, ['serverName', 'status', 'tokens']],
      ['update', USER, ID, ['codeVerifier']],
      ['update', USER, ID, ['oauthState']],
      ['update', USER, ID, ['tokens']],
      ['update', USER, ID, ['clientId', 'clientInformation', 'codeVerifier', 'oauthState', 'tokens']],
      ['delete', USER, ID, []],
      ['clear'],
    ]);
    for (const { at } of mutations) expect(at).toBeGreaterThanOrEqual(began);
    expect(JSON.stringify(mutations)).not.toContain('SECRET');
  },

  'mutations/quiet: what changes no content, and what is refused, is not told': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const { mutations } = listenTo(store);
    await store.touch(USER, ID);
    await store.update(USER, ID, {});
    await store.withLock(USER, ID, async () => undefined);
    await store.get(USER, ID);
    await store.cleanupExpired();
    await expectFailure(store.create(session()), 'exists');
    await expectFailure(store.update(USER, 'missing', { serverName: 'x' }), 'not_found');
    await expectFailure(store.update(USER, ID, { serverName: 'x' }, { ifVersion: 1 }), 'conflict');
    await expectFailure(store.delete(USER, ID, { ifVersion: 1 }), 'conflict');
    expect(mutations).toEqual([]);
  },

  'mutations/listeners: each is told until it is ended, and one that fails harms nobody': async ({ open }) => {
    const reported: string[] = [];
    const store = await open({ onError: (error) => reported.push(error.message) });
    const first = listenTo(store);
    store.onMutation(() => {
      throw new Error('SECRET of a listener');
    });
    store.onMutation((async () => Promise.reject(new Error('later'))) as () => void);
    const second = listenTo(store);
    await store.create(session());
    first.end();
    first.end();
    await store.update(USER, ID, { serverName: 'x' });
    expect(namesOf(first.mutations)).toHaveLength(1);
    expect(namesOf(second.mutations)).toHaveLength(2);
    expect(new Set(reported)).toEqual(new Set(['A listener of onMutation failed']));
    expect(() => store.onMutation('no function' as never)).toThrow(
      expect.objectContaining({ code: 'validation', message: 'A listener of changes must be a function' }),
    );
  },
};
