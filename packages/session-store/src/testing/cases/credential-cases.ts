import { expect } from 'vitest';
import { type Cases, CREDENTIALS, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';

/** Credentials and the OAuth state. */
export const credentialCases: Cases = {
  'credentials/round-trip: they are stored by create, update and patch alike': async ({ open }) => {
    const store = await open();
    await store.create(session({ tokens: CREDENTIALS.tokens }));
    await store.update(USER, ID, { clientInformation: CREDENTIALS.clientInformation, clientId: CREDENTIALS.clientId });
    await store.patchCredentials(USER, ID, {
      codeVerifier: CREDENTIALS.codeVerifier,
      oauthState: CREDENTIALS.oauthState,
      tokens: undefined,
    });
    const { version, ...credentials } = (await store.getCredentials(USER, ID)) ?? expect.unreachable();
    expect(credentials).toEqual(CREDENTIALS);
    expect(version).toBe((await store.get(USER, ID))?.version);
  },

  'credentials/null-clears: one field goes, the others stay': async ({ open }) => {
    const store = await open();
    await store.create(fullSession());
    await store.patchCredentials(USER, ID, { codeVerifier: null });
    const { version, ...credentials } = (await store.getCredentials(USER, ID)) ?? expect.unreachable();
    const { codeVerifier, ...rest } = CREDENTIALS;
    expect(credentials).toEqual(rest);
  },

  'credentials/clear: all of them are gone, from the raw store too': async ({ open, dump }) => {
    const store = await open();
    await store.create(fullSession());
    await store.clearCredentials(USER, ID);
    const { version, ...credentials } = (await store.getCredentials(USER, ID)) ?? expect.unreachable();
    expect(credentials).toEqual({});
    expect(await store.get(USER, ID)).toMatchObject({ status: 'active', headers: fullSession().headers });
    const raw = await dump?.();
    for (const secret of ['SECRET-access', 'SECRET-refresh', 'SECRET-verifier', 'SECRET-client', 'SECRET-nonce']) {
      expect(raw ?? '').not.toContain(secret);
    }
  },

  'credentials/unknown: a session that does not exist has none, and gets none': async ({ open }) => {
    const store = await open();
    expect(await store.getCredentials(USER, ID)).toBeNull();
    await expectFailure(store.patchCredentials(USER, ID, { clientId: 'x' }), 'not_found', `Session ${ID} not found`);
    await expectFailure(store.clearCredentials(USER, ID), 'not_found', `Session ${ID} not found`);
  },

  'credentials/only-those: other fields are refused': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const other = { serverUrl: 'https://elsewhere.example' } as Record<string, unknown>;
    await expectFailure(store.patchCredentials(USER, ID, other), 'validation', 'Unknown session field serverUrl');
  },

  'oauth/state-once: of parallel callers with the right nonce one gets the state': async ({ open }) => {
    const store = await open();
    const oauthState = { nonce: 'right', createdAt: Date.now(), serverId: 's' };
    await store.create(fullSession({ oauthState }));
    const results = await Promise.all(Array.from({ length: 12 }, () => store.consumeOAuthState(USER, ID, 'right')));
    expect(results.filter((result) => result !== null)).toEqual([oauthState]);
    expect(await store.consumeOAuthState(USER, ID, 'right')).toBeNull();
    expect((await store.getCredentials(USER, ID))?.tokens).toEqual(CREDENTIALS.tokens);
  },

  'oauth/state-once-among-changes: other changes at the same time do not take it away': async ({ open }) => {
    const store = await open();
    await store.create(session({ oauthState: { nonce: 'right', createdAt: Date.now() } }));
    const changes = Array.from({ length: 10 }, (_, at) => store.update(USER, ID, { serverName: String(at) }));
    const consumers = Array.from({ length: 4 }, () => store.consumeOAuthState(USER, ID, 'right'));
    const [consumed] = await Promise.all([Promise.all(consumers), ...changes]);
    expect(consumed.filter((result) => result !== null)).toHaveLength(1);
  },

  'oauth/wrong-nonce: it gets nothing and takes nothing': async ({ open }) => {
    const store = await open();
    await store.create(session({ oauthState: { nonce: 'right', createdAt: Date.now() } }));
    for (const nonce of ['wrong', '', 'righ', 'right ', 'RIGHT']) {
      expect(await store.consumeOAuthState(USER, ID, nonce)).toBeNull();
    }
    expect(await store.consumeOAuthState('other', ID, 'right')).toBeNull();
    expect(await store.consumeOAuthState(USER, ID, 'right')).toMatchObject({ nonce: 'right' });
  },

  'oauth/state-ends: a state is good for ten minutes': async ({ open }) => {
    const store = await open();
    await store.create(session({ oauthState: { nonce: 'n', createdAt: Date.now() - 601_000 } }));
    expect(await store.consumeOAuthState(USER, ID, 'n')).toBeNull();
    await store.update(USER, ID, { oauthState: { nonce: 'n', createdAt: Date.now() + 3_600_000 } });
    expect(await store.consumeOAuthState(USER, ID, 'n')).toBeNull();
    await store.update(USER, ID, { oauthState: { nonce: 'n', createdAt: Date.now() - 500_000 } });
    expect(await store.consumeOAuthState(USER, ID, 'n')).not.toBeNull();
  },
};
