import * as nodeCrypto from 'node:crypto';
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { MemoryStorageBackend } from '@tmcp/session-store/memory';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { EncryptionOption } from '../../src/encryption/encryption-options.ts';
import type { FieldVault } from '../../src/encryption/field-vault.ts';
import { openVault, readEncryption } from '../../src/encryption/open-vault.ts';
import { nodeCipher, webCipher } from '../../src/encryption/user-cipher.ts';

const K1 = '0123456789abcdef'.repeat(4);
const K2 = 'fedcba9876543210'.repeat(4);
const PLACE = { userId: 'user', sessionId: 'session' };
const JSON_TEXT = JSON.stringify({ access_token: 'SECRET' });

const vault = (encryption: EncryptionOption | undefined): Promise<FieldVault> =>
  openVault(readEncryption(encryption), false);

const refused = (reason: string) => ({ code: 'encryption', message: `Cannot decrypt tokens: ${reason}` });

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('encryption', () => {
  it('cryptography/form: an envelope names version and key, and differs each time', async () => {
    const keys = await vault({ keys: `main:${K1}` });
    const [a, b] = [await keys.seal(PLACE, 'tokens', JSON_TEXT), await keys.seal(PLACE, 'tokens', JSON_TEXT)];
    expect(a).toMatch(/^mcpenc:2:main:[A-Za-z0-9_-]{16}:[A-Za-z0-9_-]+:[A-Za-z0-9_-]{22}$/);
    expect(a).not.toBe(b);
    expect(await keys.open(PLACE, 'tokens', a)).toBe(JSON_TEXT);
  });

  it('cryptography/stable: what was written once is read for ever', async () => {
    // Written by this package when the form was fixed: it must never be made anew.
    const written = 'mcpenc:2:main:-mWpbfX6CFfDc9OS:Kw5PWEaW4bBQowfouZ9fJXEEsAs0pHOfoA:vDTvc65mltA-DgWJXLMHbg';
    const keys = await vault({ keys: `main:${K1}` });
    expect(await keys.open(PLACE, 'tokens', written)).toBe(JSON_TEXT);
    // The same by another implementation, from the description of the form alone.
    const [, , kid = '', iv = '', ciphertext = '', tag = ''] = written.split(':');
    const withLengths = (...parts: string[]): Buffer =>
      Buffer.concat(
        parts.flatMap((part) => {
          const length = Buffer.alloc(4);
          length.writeUInt32BE(Buffer.byteLength(part));
          return [length, Buffer.from(part)];
        }),
      );
    const userKey = hkdfSync('sha256', Buffer.from(K1, 'hex'), '', withLengths('2', kid, 'user'), 32);
    const cipher = createDecipheriv('aes-256-gcm', Buffer.from(userKey), Buffer.from(iv, 'base64url'));
    cipher.setAAD(withLengths('2', kid, 'user', 'session', 'tokens'));
    cipher.setAuthTag(Buffer.from(tag, 'base64url'));
    const opened = Buffer.concat([cipher.update(Buffer.from(ciphertext, 'base64url')), cipher.final()]);
    expect(opened.toString()).toBe(JSON_TEXT);
  });

  it('cryptography/both-platforms: what one implementation wrote the other reads, and neither reads what was changed', async () => {
    const [key, info] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(20))];
    const ciphers = [nodeCipher(nodeCrypto, key, info), await webCipher(key, info)];
    const [iv, place] = [new Uint8Array(randomBytes(12)), new Uint8Array(randomBytes(40))];
    for (const plain of [new Uint8Array(), new TextEncoder().encode(JSON_TEXT), new Uint8Array(randomBytes(3_000))]) {
      const [byNode, byWeb] = await Promise.all(ciphers.map((cipher) => cipher.seal(iv, place, plain)));
      expect(byNode).toEqual(byWeb);
      if (byNode === undefined) expect.unreachable();
      const changed = byNode.with(byNode.length - 1, (byNode.at(-1) ?? 0) ^ 1);
      for (const cipher of ciphers) {
        expect(await cipher.open(iv, place, byNode)).toEqual(plain);
        await expect((async () => cipher.open(iv, place, changed))()).rejects.toThrow();
        await expect((async () => cipher.open(iv, place.subarray(1), byNode))()).rejects.toThrow();
      }
    }
  });

  it('cryptography/without-node: a platform that has Web Crypto alone reads and writes the same', async () => {
    const written = await (await vault(K1)).seal(PLACE, 'tokens', JSON_TEXT);
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
    const keys = await vault(K1);
    expect(await keys.open(PLACE, 'tokens', written)).toBe(JSON_TEXT);
    const back = await keys.seal(PLACE, 'tokens', JSON_TEXT);
    vi.restoreAllMocks();
    expect(await (await vault(K1)).open(PLACE, 'tokens', back)).toBe(JSON_TEXT);
  });

  it('cryptography/every-bit: no changed bit goes unnoticed', async () => {
    const keys = await vault({ keys: `main:${K1}` });
    const envelope = await keys.seal(PLACE, 'tokens', JSON_TEXT);
    const parts = envelope.split(':');
    for (const part of [3, 4, 5]) {
      const bytes = Buffer.from(parts[part] ?? '', 'base64url');
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const forged = parts.map((text, at) => (at === part ? changed.toString('base64url') : text)).join(':');
        await expect(keys.open(PLACE, 'tokens', forged)).rejects.toMatchObject(refused('authentication failed'));
      }
    }
  });

  it('cryptography/every-character: no changed, missing or added character is let through', async () => {
    const keys = await vault({ keys: `main:${K1},other:${K2}` });
    const envelope = await keys.seal(PLACE, 'tokens', JSON_TEXT);
    const forged = [
      ...Array.from(envelope, (_, at) => `${envelope.slice(0, at)}${envelope.slice(at + 1)}`),
      ...Array.from(envelope, (_, at) => `${envelope.slice(0, at)}A${envelope.slice(at)}`),
      `${envelope}=`,
      `${envelope} `,
      `${envelope}:`,
      envelope.replace(':2:', ':1:'),
      envelope.replace(':2:', ':3:'),
      envelope.replace(':main:', ':other:'),
      envelope.toUpperCase(),
    ].filter((text) => text !== envelope);
    for (const text of forged) {
      await expect(keys.open(PLACE, 'tokens', text)).rejects.toMatchObject({ code: 'encryption' });
    }
  });

  it('cryptography/place: a value opens only where it was put', async () => {
    const keys = await vault(K1);
    const envelope = await keys.seal(PLACE, 'tokens', JSON_TEXT);
    for (const place of [
      { ...PLACE, userId: 'other' },
      { ...PLACE, sessionId: 'other' },
      { userId: 'users', sessionId: 'ession' },
      { userId: 'use', sessionId: 'rsession' },
    ]) {
      await expect(keys.open(place, 'tokens', envelope)).rejects.toMatchObject(refused('authentication failed'));
    }
    await expect(keys.open(PLACE, 'headers', envelope)).rejects.toMatchObject({ code: 'encryption' });
  });

  it('cryptography/key-ids: a key without id has one of its own, and opens under it for ever', async () => {
    const bare = await vault(K1);
    const envelope = await bare.seal(PLACE, 'tokens', JSON_TEXT);
    const kid = createHash('sha256').update(Buffer.from(K1, 'hex')).digest('base64url').slice(0, 16);
    expect(envelope.split(':')[2]).toBe(kid);
    const named = await vault(`new:${K2},old:${K1}`);
    expect(await named.open(PLACE, 'tokens', envelope)).toBe(JSON_TEXT);
    expect(await named.isCurrent(envelope)).toBe(false);
    // The other way: from a list to a single key, which does not know the name.
    const underName = await (await vault(`old:${K1}`)).seal(PLACE, 'tokens', JSON_TEXT);
    await expect(bare.open(PLACE, 'tokens', underName)).rejects.toMatchObject(refused('unknown key id old'));
  });

  it('cryptography/key-forms: hexadecimal and base64 of the same bytes are one key', async () => {
    const bytes = Buffer.from(K1, 'hex');
    const envelope = await (await vault(K1)).seal(PLACE, 'tokens', JSON_TEXT);
    for (const text of [K1.toUpperCase(), bytes.toString('base64'), bytes.toString('base64url'), ` ${K1} `]) {
      expect(await (await vault(text)).open(PLACE, 'tokens', envelope)).toBe(JSON_TEXT);
    }
    for (const text of [
      'short',
      K1.slice(2),
      `${K1}00`,
      randomBytes(33).toString('base64'),
      `${K1}=`,
      'g'.repeat(64),
    ]) {
      await expect(vault(text)).rejects.toMatchObject({
        code: 'config',
        message: 'Option encryption must be 64 hexadecimal characters or 32 bytes in base64',
      });
    }
    await expect(vault(`a b:${K1}`)).rejects.toMatchObject({ code: 'config' });
    await expect(vault(`a:${K1},a:${K2}`)).rejects.toMatchObject({ code: 'config' });
  });

  it('cryptography/environment: one key, several keys, and both', async () => {
    vi.stubEnv('STORAGE_ENCRYPTION_KEY', K1);
    const envelope = await (await vault(undefined)).seal(PLACE, 'tokens', JSON_TEXT);
    expect((await vault(false)).hasKeys).toBe(false);
    vi.stubEnv('STORAGE_ENCRYPTION_KEYS', `k2:${K2}`);
    await expect(vault(undefined)).rejects.toMatchObject({ code: 'config' });
    vi.stubEnv('STORAGE_ENCRYPTION_KEYS', `k2:${K2},k1:${K1}`);
    const both = await vault(undefined);
    expect(await both.open(PLACE, 'tokens', envelope)).toBe(JSON_TEXT);
    expect((await both.seal(PLACE, 'tokens', JSON_TEXT)).startsWith('mcpenc:2:k2:')).toBe(true);
    vi.stubEnv('STORAGE_ENCRYPTION_KEY', undefined);
    expect(await (await vault({ allowPlaintextReads: true })).open(PLACE, 'tokens', envelope)).toBe(JSON_TEXT);
    vi.stubEnv('STORAGE_ENCRYPTION_KEYS', undefined);
    expect((await vault(undefined)).hasKeys).toBe(false);
    await expect(openVault(readEncryption(undefined), true)).rejects.toMatchObject({
      code: 'config',
      message: 'Encryption is required but no key is configured: set STORAGE_ENCRYPTION_KEY',
    });
  });

  it('cryptography/earlier-envelopes: they open when that is allowed, and only then', async () => {
    const old = (plain: string, key = K1): string => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'hex'), iv);
      const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return `enc:1:${iv.toString('hex')}:${cipher.getAuthTag().toString('hex')}:${sealed.toString('hex')}`;
    };
    const lenient = await vault({ keys: `k2:${K2},k1:${K1}`, acceptLegacyEnvelopes: true });
    expect(await lenient.open(PLACE, 'tokens', old(JSON_TEXT))).toBe(JSON_TEXT);
    expect(await lenient.open(PLACE, 'codeVerifier', old('verifier'))).toBe('"verifier"');
    expect(await lenient.isCurrent(old(JSON_TEXT))).toBe(false);
    await expect(lenient.open(PLACE, 'tokens', old(JSON_TEXT, '00'.repeat(32)))).rejects.toMatchObject(
      refused('authentication failed'),
    );
    await expect(lenient.open(PLACE, 'tokens', 'enc:1:00')).rejects.toMatchObject(refused('authentication failed'));
    await expect((await vault(K1)).open(PLACE, 'tokens', old(JSON_TEXT))).rejects.toMatchObject(
      refused('value is not encrypted'),
    );
    await expect((await vault(false)).open(PLACE, 'tokens', old(JSON_TEXT))).rejects.toMatchObject(
      refused('no key configured'),
    );
  });

  it('cryptography/provider: keys may come from elsewhere, and its failures are ours', async () => {
    const keys = new Map([['a', new Uint8Array(32).fill(1)]]);
    const provider = {
      current: async () => ({ kid: 'a', key: keys.get('a') ?? new Uint8Array() }),
      byId: async (kid: string) => keys.get(kid),
    };
    const held = await vault(provider);
    const envelope = await held.seal(PLACE, 'tokens', JSON_TEXT);
    expect(await held.open(PLACE, 'tokens', envelope)).toBe(JSON_TEXT);
    expect(await (await vault({ keys: provider })).open(PLACE, 'tokens', envelope)).toBe(JSON_TEXT);
    const failing = await vault({
      ...provider,
      byId: () => Promise.reject(new Error('vault says "SECRET"')),
      current: async () => ({ kid: 'b', key: new Uint8Array(32) }),
    });
    const error: unknown = await failing.open(PLACE, 'tokens', envelope).catch((reason: unknown) => reason);
    expect(error).toMatchObject(refused('the key provider failed'));
    expect(String((error as Error).cause)).not.toContain('SECRET');
    for (const bad of [
      { kid: 'a b', key: new Uint8Array(32) },
      { kid: 'a', key: new Uint8Array(31) },
    ]) {
      const store = await vault({ ...provider, current: () => bad });
      await expect(store.seal(PLACE, 'tokens', JSON_TEXT)).rejects.toMatchObject({ code: 'config' });
    }
  });

  it('cryptography/provider-bytes: what is no key of 32 bytes is refused, texts of that length as well', async () => {
    const good = new Uint8Array(32).fill(7);
    const sealed = await (await vault({ keys: { current: () => ({ kid: 'k', key: good }), byId: () => good } })).seal(
      PLACE,
      'tokens',
      JSON_TEXT,
    );
    for (const bad of ['x'.repeat(32), Array(32).fill(7), new Uint8Array(31), new Uint8Array(33), null]) {
      const key = bad as Uint8Array;
      const writing = await vault({ keys: { current: () => ({ kid: 'other', key }), byId: () => good } });
      await expect(writing.seal(PLACE, 'tokens', JSON_TEXT)).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining('32 bytes'),
      });
      const reading = await vault({ keys: { current: () => ({ kid: 'other', key: good }), byId: () => key } });
      await expect(reading.open(PLACE, 'tokens', sealed)).rejects.toMatchObject(
        refused('the key provider gave no key of 32 bytes'),
      );
    }
  });

  it('cryptography/options: wrong ones are refused by the constructor', () => {
    for (const encryption of [true, '', 5, { key: K1 }, { keys: '' }, { allowPlaintextReads: 'yes' }]) {
      expect(() => new MemoryStorageBackend({ encryption: encryption as EncryptionOption })).toThrowError(
        expect.objectContaining({ code: 'config' }),
      );
    }
  });
});
