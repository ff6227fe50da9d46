import { fromBase64Url, toBase64Url } from '../base64url.ts';
import type { SessionKey } from '../session-driver.ts';
import type { EncryptionKey } from './encryption-options.ts';
import { deriveCipher, type UserCipher } from './user-cipher.ts';

/** `mcpenc:2:<kid>:<iv>:<ciphertext>:<tag>`, the last three in base64url. */
export type Envelope = {
  readonly kid: string;
  readonly iv: Uint8Array<ArrayBuffer>;
  /** Ciphertext and tag, as Web Crypto wants them. */
  readonly sealed: Uint8Array<ArrayBuffer>;
};

const MARK = 'mcpenc';
const VERSION = '2';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const MOST_USER_KEYS = 1_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function isEnvelope(stored: string): boolean {
  return stored.startsWith(`${MARK}:`);
}

/** `undefined` when it is not what `sealEnvelope` writes. */
export function parseEnvelope(stored: string): Envelope | undefined {
  const [mark, version, kid, iv, ciphertext, tag, ...more] = stored.split(':');
  if (mark !== MARK || version !== VERSION || kid === undefined || more.length > 0) return undefined;
  const parts = [iv, ciphertext, tag].map((part) => (part === undefined ? undefined : fromBase64Url(part)));
  const [ivBytes, textBytes, tagBytes] = parts;
  if (ivBytes?.length !== IV_BYTES || textBytes === undefined || tagBytes?.length !== TAG_BYTES) return undefined;
  const sealed = new Uint8Array(textBytes.length + TAG_BYTES);
  sealed.set(textBytes);
  sealed.set(tagBytes, textBytes.length);
  return { kid, iv: ivBytes, sealed };
}

/**
 * AES-256-GCM under a key of each user, bound to the place where the value stands: moved to another user, session or
 * field it does not open. A key per user also keeps the number of values under one AES key far below what random
 * initialisation vectors allow.
 */
export class EnvelopeCipher {
  readonly #ciphers: Map<string, Promise<UserCipher>> = new Map();

  async seal(by: EncryptionKey, place: SessionKey, field: string, plain: string): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const cipher = await this.#cipherOf(by, place.userId);
    const sealed = await cipher.seal(iv, placeOf(by.kid, place, field), encoder.encode(plain));
    const at = sealed.length - TAG_BYTES;
    return [MARK, VERSION, by.kid, ...[iv, sealed.subarray(0, at), sealed.subarray(at)].map(toBase64Url)].join(':');
  }

  /** Rejects when anything was changed or moved. */
  async open(by: EncryptionKey, place: SessionKey, field: string, { iv, sealed }: Envelope): Promise<string> {
    const cipher = await this.#cipherOf(by, place.userId);
    return decoder.decode(await cipher.open(iv, placeOf(by.kid, place, field), sealed));
  }

  #cipherOf({ kid, key }: EncryptionKey, userId: string): Promise<UserCipher> {
    // Key ids have no colon: the joined text is unambiguous.
    const id = `${kid}:${userId}`;
    const known = this.#ciphers.get(id);
    if (known !== undefined) return known;
    const derived = deriveCipher(key, withLengths(VERSION, kid, userId));
    if (this.#ciphers.size >= MOST_USER_KEYS) {
      const [oldest] = this.#ciphers.keys();
      if (oldest !== undefined) this.#ciphers.delete(oldest);
    }
    this.#ciphers.set(id, derived);
    return derived;
  }
}

function placeOf(kid: string, { userId, sessionId }: SessionKey, field: string): Uint8Array<ArrayBuffer> {
  return withLengths(VERSION, kid, userId, sessionId, field);
}

/** Each part after its length, so that no two lists of parts read alike. */
function withLengths(...parts: readonly string[]): Uint8Array<ArrayBuffer> {
  const texts = parts.map((part) => encoder.encode(part));
  const joined = new Uint8Array(texts.reduce((sum, text) => sum + 4 + text.length, 0));
  const view = new DataView(joined.buffer);
  let at = 0;
  for (const text of texts) {
    view.setUint32(at, text.length);
    joined.set(text, at + 4);
    at += 4 + text.length;
  }
  return joined;
}
