import { expect } from 'vitest';
import { type Cases, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';

const K1 = '11'.repeat(32);
const K2 = '22'.repeat(32);
const SECRETS = [
  'SECRET-access',
  'SECRET-refresh',
  'SECRET-verifier',
  'SECRET-client',
  'SECRET-nonce',
  'SECRET-header',
  'SECRET-url',
];

/** Encryption at rest: stores with different keys on the same data. */
export const encryptionCases: Cases = {
  'encryption/at-rest: no secret stands in the raw store': async ({ open, dump }) => {
    const store = await open({ encryption: K1 });
    await store.create(fullSession());
    await store.update(USER, ID, { tokens: fullSession().tokens, headers: fullSession().headers });
    const raw = await dump?.();
    if (raw !== undefined) expect(raw).toContain('mcpenc:2:');
    for (const secret of SECRETS) expect(raw ?? '').not.toContain(secret);
    expect(await store.get(USER, ID, { includeCredentials: true })).toMatchObject(
      fullSession({ createdAt: expect.any(Number) as never }),
    );
  },

  'encryption/no-key: without the key nothing secret is returned': async ({ open }) => {
    await (await open({ encryption: K1 })).create(fullSession());
    const blind = await open({ encryption: false });
    await expectFailure(blind.get(USER, ID), 'encryption', /^Cannot decrypt (headers|authUrl): no key configured$/);
    await expectFailure(blind.getCredentials(USER, ID), 'encryption', /^Cannot decrypt \w+: no key configured$/);
    await expectFailure(blind.list(USER), 'encryption');
    expect(await blind.listIds(USER)).toEqual([ID]);
  },

  'encryption/other-key: a key that is not the one is told from a wrong one': async ({ open }) => {
    const writer = await open({ encryption: { keys: `k1:${K1}` } });
    await writer.create(session({ tokens: fullSession().tokens }));
    const unknown = await open({ encryption: { keys: `k2:${K2}` } });
    await expectFailure(unknown.getCredentials(USER, ID), 'encryption', 'Cannot decrypt tokens: unknown key id k1');
    const wrong = await open({ encryption: { keys: `k1:${K2}` } });
    await expectFailure(wrong.getCredentials(USER, ID), 'encryption', 'Cannot decrypt tokens: authentication failed');
    // What is not secret needs no key.
    expect((await wrong.get(USER, ID))?.serverUrl).toBe(session().serverUrl);
  },

  'encryption/plain-text-refused: plain text under a key is refused, unless that is allowed': async ({ open }) => {
    await (await open({ encryption: false })).create(fullSession());
    const strict = await open({ encryption: K1 });
    await expectFailure(strict.getCredentials(USER, ID), 'encryption', /^Cannot decrypt \w+: value is not encrypted$/);
    const lenient = await open({ encryption: { keys: K1, allowPlaintextReads: true } });
    expect((await lenient.getCredentials(USER, ID))?.tokens).toEqual(fullSession().tokens);
    expect(await lenient.rekey()).toEqual({ rewritten: 1 });
    expect((await strict.getCredentials(USER, ID))?.tokens).toEqual(fullSession().tokens);
    expect(await lenient.rekey()).toEqual({ rewritten: 0 });
  },

  'encryption/rotation: a new key reads the old, rekey makes the old one needless': async ({ open, dump }) => {
    const old = await open({ encryption: K1 });
    for (let at = 0; at < 5; at += 1) await old.create(fullSession({ sessionId: `s${at}` }));
    const both = await open({ encryption: { keys: `k2:${K2},k1:${K1}` } });
    expect((await both.list(USER, { includeCredentials: true })).map((found) => found.tokens)).toEqual(
      Array.from({ length: 5 }, () => fullSession().tokens),
    );
    const before = await both.list(USER, { includeCredentials: true });
    expect(await both.rekey()).toEqual({ rewritten: 5 });
    // Neither version nor times: a rotation is no use of a session.
    expect(await both.list(USER, { includeCredentials: true })).toEqual(before);
    expect(await both.rekey()).toEqual({ rewritten: 0 });
    const fresh = await open({ encryption: { keys: `k2:${K2}` } });
    expect(await fresh.list(USER, { includeCredentials: true })).toEqual(before);
    expect((await dump?.()) ?? 'mcpenc:2:k2:').toContain('mcpenc:2:k2:');
    expect((await dump?.()) ?? '').not.toContain('mcpenc:2:k1:');
    await expectFailure(old.get(USER, 's0'), 'encryption', /^Cannot decrypt \w+: unknown key id k2$/);
  },

  'encryption/rekey-during-writes: nothing written meanwhile is lost': async ({ open }) => {
    const old = await open({ encryption: K1 });
    for (let at = 0; at < 10; at += 1) await old.create(fullSession({ sessionId: `s${at}` }));
    const both = await open({ encryption: { keys: `k2:${K2},k1:${K1}` } });
    const writes = Array.from({ length: 30 }, (_, at) =>
      both.update(USER, `s${at % 10}`, { codeVerifier: `verifier-${at}` }),
    );
    await Promise.all([both.rekey(), ...writes]);
    for (const found of await both.list(USER, { includeCredentials: true })) {
      const last = 20 + Number(found.sessionId.slice(1));
      expect([last, last - 10, last - 20].map((at) => `verifier-${at}`)).toContain(found.codeVerifier);
      expect(found.tokens).toEqual(fullSession().tokens);
    }
    await both.rekey();
    const fresh = await open({ encryption: { keys: `k2:${K2}` } });
    expect((await fresh.list(USER, { includeCredentials: true })).length).toBe(10);
  },

  'encryption/rekey-around-the-lost: a session that no key opens keeps no other from the new key': async ({ open }) => {
    await (await open({ encryption: { keys: `lost:${K2}` } })).create(fullSession({ userId: 'other' }));
    await (await open({ encryption: { keys: `k1:${K1}` } })).create(fullSession());
    const reported: string[] = [];
    const keys = `k2:${K2},k1:${K1}`;
    const both = await open({ encryption: { keys }, onError: (error) => reported.push(error.message) });
    await expectFailure(both.rekey(), 'encryption', /^Cannot decrypt \w+: unknown key id lost$/);
    expect(reported).toHaveLength(1);
    const fresh = await open({ encryption: { keys: `k2:${K2}` } });
    expect((await fresh.getCredentials(USER, ID))?.tokens).toEqual(fullSession().tokens);
  },

  'encryption/failed: a key that cannot be had writes nothing': async ({ open }) => {
    const plain = await open({ encryption: false });
    const broken = await open({
      encryption: {
        current: () => Promise.reject(new Error('SECRET-of-the-vault')),
        byId: async () => undefined,
      },
    });
    await expectFailure(broken.create(fullSession()), 'encryption', /^Cannot encrypt \w+: /);
    expect(await plain.listAllIds()).toEqual([]);
  },

  'encryption/required: no key, no start': async ({ open }) => {
    const store = await open({ encryption: false, requireEncryption: true });
    const message = 'Encryption is required but no key is configured: set STORAGE_ENCRYPTION_KEY';
    await expectFailure(store.create(session()), 'config', message);
    await expectFailure(store.init(), 'config', message);
  },
};
