import { expect, it } from 'vitest';
import type { Session } from '../../src/session.ts';
import type { SessionDriver, SessionKey, StoredRecord } from '../../src/session-driver.ts';
import type { SessionStore } from '../../src/session-store.ts';

const SECRETS = ['headers', 'authUrl', 'tokens', 'codeVerifier'] as const;
type Stored = StoredRecord['fields'];

const ALICE_S: SessionKey = { userId: 'alice', sessionId: 's' };
const ALICE_T: SessionKey = { userId: 'alice', sessionId: 't' };
const BOB_S: SessionKey = { userId: 'bob', sessionId: 's' };

/** What somebody may do who can write to the store, but has no key. */
const FORGERIES: Readonly<Record<string, (stored: { s: Stored; t: Stored; ofBob: Stored }) => Stored>> = {
  'all that is secret of another user': ({ ofBob }) => ofBob,
  'all that is secret of another session of the user': ({ t }) => t,
  'the tokens of another user': ({ ofBob }) => pick(ofBob, 'tokens'),
  'two fields that changed places': ({ s }) => ({ codeVerifier: s.authUrl ?? '', authUrl: s.codeVerifier ?? '' }),
};

/**
 * A value opens for the user, the session and the field that it was made for, in a real store.
 *
 * @param open an empty store with a key, and the driver below it
 */
export function swappedRecordCases(id: string, open: () => { driver: SessionDriver; store: SessionStore }): void {
  for (const [what, forge] of Object.entries(FORGERIES)) {
    it(`${id}/swapped-records: ${what} cannot be read`, async () => {
      const { driver, store } = open();
      for (const key of [ALICE_S, ALICE_T, BOB_S]) await store.create(sessionOf(key));
      const read = async (key: SessionKey): Promise<Stored> => {
        const record = await driver.read(key, SECRETS);
        return pick(record?.fields ?? expect.unreachable(), ...SECRETS);
      };
      const [s, t, ofBob] = [await read(ALICE_S), await read(ALICE_T), await read(BOB_S)];
      const put = (set: Stored) => driver.patch(ALICE_S, { kind: 'rekey', set, unset: [] });
      await put(forge({ s, t, ofBob }));
      const call = store.get('alice', 's', { includeCredentials: true });
      await expect(call).rejects.toMatchObject({ code: 'encryption' });
      // The forgery is what was refused: as it was, it can be read.
      await put(s);
      const { tokens } = sessionOf(ALICE_S);
      expect(await store.get('alice', 's', { includeCredentials: true })).toMatchObject({ tokens });
      await store.clearAll();
    });
  }
}

function sessionOf({ userId, sessionId }: SessionKey): Session {
  return {
    userId,
    sessionId,
    serverUrl: 'https://server.example/mcp',
    callbackUrl: 'https://app.example/callback',
    transportType: 'sse',
    createdAt: Date.now() - 1_000,
    status: 'active',
    headers: { h: 'v' },
    authUrl: 'https://auth.example',
    tokens: { access_token: `of-${userId}-${sessionId}`, token_type: 'b' },
    codeVerifier: 'verifier',
  };
}

function pick(stored: Stored, ...fields: readonly (typeof SECRETS)[number][]): Stored {
  return Object.fromEntries(fields.map((field) => [field, stored[field] ?? expect.unreachable(field)]));
}
