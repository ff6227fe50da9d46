import { SessionStoreError } from '../errors.ts';
import { redact } from '../redact.ts';
import type { FieldName, SessionKey } from '../session-driver.ts';
import { configError } from '../session-errors.ts';
import type { EncryptionKey, KeyProvider } from './encryption-options.ts';
import { EnvelopeCipher, isEnvelope, parseEnvelope } from './envelope.ts';
import { KEY_BYTES, KEY_ID, Keyring } from './keyring.ts';
import { isLegacyEnvelope, openLegacyEnvelope } from './legacy-envelope.ts';

export type VaultRules = {
  readonly allowPlaintextReads: boolean;
  readonly acceptLegacyEnvelopes: boolean;
};

const TEXT_FIELDS: ReadonlySet<FieldName> = new Set<FieldName>(['authUrl', 'codeVerifier']);

/** Turns the JSON of secret fields into envelopes and back. Without keys it passes plain text, and only that. */
export class FieldVault {
  readonly #keys: KeyProvider | undefined;
  readonly #rules: VaultRules;
  readonly #cipher: EnvelopeCipher = new EnvelopeCipher();

  constructor(keys: KeyProvider | undefined, rules: VaultRules) {
    this.#keys = keys;
    this.#rules = rules;
  }

  get hasKeys(): boolean {
    return this.#keys !== undefined;
  }

  /** @throws SessionStoreError `encryption`: then nothing must be written */
  async seal(place: SessionKey, field: FieldName, json: string): Promise<string> {
    if (this.#keys === undefined) return json;
    try {
      return await this.#cipher.seal(await this.#current(this.#keys), place, field, json);
    } catch (cause) {
      if (SessionStoreError.is(cause)) throw cause;
      throw new SessionStoreError('encryption', `Cannot encrypt ${field}: the key provider or the cipher failed`, {
        cause: redact(cause),
        outcome: 'not-applied',
      });
    }
  }

  /** @throws SessionStoreError `encryption`: never the stored text as a value */
  async open(place: SessionKey, field: FieldName, stored: string): Promise<string> {
    if (isEnvelope(stored)) return this.#openEnvelope(place, field, stored);
    if (isLegacyEnvelope(stored)) return this.#openLegacy(field, stored);
    if (this.#keys !== undefined && !this.#rules.allowPlaintextReads) {
      throw cannotDecrypt(field, 'value is not encrypted');
    }
    return stored;
  }

  /** Whether it was encrypted with the key that writes use now. */
  async isCurrent(stored: string): Promise<boolean> {
    if (this.#keys === undefined) return !isEnvelope(stored);
    return parseEnvelope(stored)?.kid === (await this.#current(this.#keys)).kid;
  }

  async #openEnvelope(place: SessionKey, field: FieldName, stored: string): Promise<string> {
    const keys = this.#keys;
    if (keys === undefined) throw cannotDecrypt(field, 'no key configured');
    const envelope = parseEnvelope(stored);
    if (envelope === undefined || !KEY_ID.test(envelope.kid)) throw cannotDecrypt(field, 'authentication failed');
    const { kid } = envelope;
    const key = await this.#byId(keys, kid, field);
    if (key === undefined) throw cannotDecrypt(field, `unknown key id ${kid}`);
    try {
      return await this.#cipher.open({ kid, key }, place, field, envelope);
    } catch (cause) {
      throw cannotDecrypt(field, 'authentication failed', cause);
    }
  }

  async #openLegacy(field: FieldName, stored: string): Promise<string> {
    const keys = this.#keys;
    if (keys === undefined) throw cannotDecrypt(field, 'no key configured');
    if (!this.#rules.acceptLegacyEnvelopes) throw cannotDecrypt(field, 'value is not encrypted');
    const candidates = keys instanceof Keyring ? keys.all() : [(await this.#current(keys)).key];
    const plain = await openLegacyEnvelope(stored, candidates);
    if (plain === undefined) throw cannotDecrypt(field, 'authentication failed');
    // They held texts as they were, and objects as JSON.
    return TEXT_FIELDS.has(field) && !plain.startsWith('"') ? JSON.stringify(plain) : plain;
  }

  async #current(keys: KeyProvider): Promise<EncryptionKey> {
    const current = await keys.current();
    // A text of 32 characters has the same length, and would be read as a key of zeros.
    if (!KEY_ID.test(current.kid) || !isKey(current.key)) {
      throw configError('The key provider must give keys of 32 bytes with an id of letters, digits, _ or -');
    }
    return current;
  }

  async #byId(keys: KeyProvider, kid: string, field: FieldName): Promise<Uint8Array | undefined> {
    try {
      const current = await keys.current();
      const key: unknown = current.kid === kid ? current.key : await keys.byId(kid);
      if (key === undefined || isKey(key)) return key;
    } catch (cause) {
      throw cannotDecrypt(field, 'the key provider failed', cause);
    }
    throw cannotDecrypt(field, 'the key provider gave no key of 32 bytes');
  }
}

function isKey(key: unknown): key is Uint8Array {
  return key instanceof Uint8Array && key.length === KEY_BYTES;
}

function cannotDecrypt(field: FieldName, reason: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError('encryption', `Cannot decrypt ${field}: ${reason}`, { cause: redact(cause) });
}
