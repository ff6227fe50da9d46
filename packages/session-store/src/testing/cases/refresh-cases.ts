import { expect } from 'vitest';
import type { OAuthTokens } from '../../session.ts';
import type { SessionStore } from '../../session-store.ts';
import { type Cases, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';

const pair = (number: number): OAuthTokens => ({
  access_token: `access-${number}`,
  token_type: 'Bearer',
  refresh_token: `refresh-${number}`,
});

/** An OAuth server that rotates refresh tokens, and revokes everything when a spent one comes again. */
class RotatingServer {
  presented: string[] = [];
  #current = 1;

  async refresh(token: string | undefined): Promise<OAuthTokens> {
    this.presented.push(token ?? 'none');
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (token !== `refresh-${this.#current}`)
      throw Object.assign(new Error('invalid_grant'), { code: 'invalid_grant' });
    this.#current += 1;
    return pair(this.#current);
  }
}

async function stored(store: SessionStore): Promise<OAuthTokens | null | undefined> {
  return (await store.getCredentials(USER, ID))?.tokens;
}

/** `refreshTokens`. */
export const refreshCases: Cases = {
  'refresh/once: of many callers one presents the refresh token, all get the new pair': async ({ open }) => {
    const store = await open();
    const server = new RotatingServer();
    await store.create(fullSession({ tokens: pair(1) }));
    const results = await Promise.all(
      Array.from({ length: 8 }, () =>
        store.refreshTokens(USER, ID, (current) => server.refresh(current.tokens?.refresh_token), {
          staleAccessToken: 'access-1',
        }),
      ),
    );
    expect(server.presented).toEqual(['refresh-1']);
    for (const result of results) expect(result).toMatchObject({ tokens: pair(2), stored: true });
    expect(results.filter((result) => result.source === 'refreshed')).toHaveLength(1);
    expect(await stored(store)).toEqual(pair(2));
  },

  'refresh/again: every refresh uses the pair of the one before': async ({ open }) => {
    const store = await open();
    const server = new RotatingServer();
    await store.create(fullSession({ tokens: pair(1) }));
    for (let round = 0; round < 3; round += 1) {
      await store.refreshTokens(USER, ID, (current) => server.refresh(current.tokens?.refresh_token));
    }
    expect(server.presented).toEqual(['refresh-1', 'refresh-2', 'refresh-3']);
    expect(await stored(store)).toEqual(pair(4));
  },

  'refresh/adopts: nobody asks when the stored token is another already': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(2) }));
    const result = await store.refreshTokens(USER, ID, async () => expect.unreachable(), {
      staleAccessToken: 'access-1',
    });
    expect(result).toEqual({ tokens: pair(2), source: 'adopted', stored: true });
  },

  'refresh/adopts-while-waiting: who waits takes what another stored, although the lock is still held': async ({
    open,
  }) => {
    const store = await open();
    await store.create(session({ tokens: pair(1) }));
    const never = (): Promise<OAuthTokens> => Promise.reject(new Error('nobody is to be asked'));
    await store.withLock(USER, ID, async () => {
      const waiting = [1, 2, 3].map(() => store.refreshTokens(USER, ID, never, { staleAccessToken: 'access-1' }));
      await store.patchCredentials(USER, ID, { tokens: pair(2) });
      const late = store.refreshTokens(USER, ID, never, { staleAccessToken: 'access-1' });
      for (const result of await Promise.all([...waiting, late])) {
        expect(result).toEqual({ tokens: pair(2), source: 'adopted', stored: true });
      }
    });
  },

  'refresh/keeps-refresh-token: an answer without one leaves the old one': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const answer = { access_token: 'access-2', token_type: 'Bearer', vendor: [1] };
    const { tokens } = await store.refreshTokens(USER, ID, async () => answer);
    expect(tokens).toEqual({ ...answer, refresh_token: 'refresh-1' });
    expect(await stored(store)).toEqual(tokens);
  },

  'refresh/shows-credentials: the callback gets the session with its credentials': async ({ open }) => {
    const store = await open();
    const given = fullSession({ tokens: pair(1) });
    await store.create(given);
    await store.refreshTokens(USER, ID, async (current, { signal }) => {
      expect(current).toMatchObject({
        tokens: pair(1),
        clientInformation: given.clientInformation,
        headers: given.headers,
      });
      expect(signal.aborted).toBe(false);
      return pair(2);
    });
  },

  'refresh/nothing-to-present: without a refresh token there is nothing to do': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await expectFailure(
      store.refreshTokens(USER, ID, async () => expect.unreachable()),
      'validation',
    );
    await store.update(USER, ID, { tokens: { access_token: 'a', token_type: 'b' } });
    await expectFailure(
      store.refreshTokens(USER, ID, async () => expect.unreachable()),
      'validation',
    );
    await expectFailure(
      store.refreshTokens(USER, 'missing', async () => expect.unreachable()),
      'not_found',
    );
  },

  'refresh/failure-clears-nothing: the error comes through, the credentials stay': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const error = new Error('network down');
    await expect(store.refreshTokens(USER, ID, () => Promise.reject(error))).rejects.toBe(error);
    expect(await stored(store)).toEqual(pair(1));
    const invalid = async (): Promise<OAuthTokens> => ({ error: 'invalid_grant' }) as unknown as OAuthTokens;
    await expectFailure(store.refreshTokens(USER, ID, invalid), 'validation', /^Invalid session field tokens: /);
    expect(await stored(store)).toEqual(pair(1));
    expect(await store.refreshTokens(USER, ID, async () => pair(2))).toMatchObject({ source: 'refreshed' });
  },

  'refresh/refused-but-replaced: a refusal is no failure when another pair was stored meanwhile': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const result = await store.refreshTokens(USER, ID, async () => {
      await store.patchCredentials(USER, ID, { tokens: pair(9) });
      throw Object.assign(new Error('invalid_grant'), { code: 'invalid_grant' });
    });
    expect(result).toEqual({ tokens: pair(9), source: 'adopted', stored: true });
  },

  'refresh/beside-other-changes: a change of another field does not lose the new pair': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const result = await store.refreshTokens(USER, ID, async () => {
      await store.update(USER, ID, { serverName: 'changed' });
      return pair(2);
    });
    expect(result).toMatchObject({ source: 'refreshed', stored: true });
    expect(await store.get(USER, ID, { includeCredentials: true })).toMatchObject({
      serverName: 'changed',
      tokens: pair(2),
    });
  },

  'refresh/other-pair-wins: a pair that somebody stored meanwhile is adopted': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const result = await store.refreshTokens(USER, ID, async () => {
      await store.patchCredentials(USER, ID, { tokens: pair(9) });
      return pair(2);
    });
    expect(result).toEqual({ tokens: pair(9), source: 'adopted', stored: true });
    expect(await stored(store)).toEqual(pair(9));
  },

  'refresh/logout-stays: credentials that were cleared meanwhile stay cleared': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const refreshed = store.refreshTokens(USER, ID, async () => {
      await store.clearCredentials(USER, ID);
      return pair(2);
    });
    await expectFailure(refreshed, 'conflict', `Session ${ID} was changed by another writer`);
    expect(await stored(store)).toBeUndefined();
  },

  'refresh/deleted-stays: a session that was deleted meanwhile stays deleted': async ({ open }) => {
    const store = await open();
    await store.create(fullSession({ tokens: pair(1) }));
    const refreshed = store.refreshTokens(USER, ID, async () => {
      await store.delete(USER, ID);
      return pair(2);
    });
    await expectFailure(refreshed, 'not_found', `Session ${ID} not found`);
    expect(await store.get(USER, ID)).toBeNull();
  },
};
