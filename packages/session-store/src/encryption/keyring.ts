import { fromBase64Url, toBase64Url } from '../base64url.ts';
import { configError } from '../session-errors.ts';
import type { EncryptionKey, KeyProvider } from './encryption-options.ts';

export const KEY_BYTES = 32;
export const KEY_ID: RegExp = /^[A-Za-z0-9_-]{1,32}$/;

/** Long enough that two keys never share it, short enough to say nothing about a key that was drawn at random. */
const DERIVED_ID_LENGTH = 16;

/** Keys that are known from the start. The first one writes, all of them read. */
export class Keyring implements KeyProvider {
  readonly #current: EncryptionKey;
  readonly #byId: ReadonlyMap<string, Uint8Array>;

  private constructor(current: EncryptionKey, byId: ReadonlyMap<string, Uint8Array>) {
    this.#current = current;
    this.#byId = byId;
  }

  /**
   * @param text one key, or `"<id>:<key>,<id>:<key>"`
   * @param source where the text stands, for messages
   * @throws SessionStoreError `config`
   */
  static async parse(text: string, source: string): Promise<Keyring> {
    const keys: EncryptionKey[] = [];
    const byId = new Map<string, Uint8Array>();
    const derived: EncryptionKey[] = [];
    for (const entry of text.split(',')) {
      const { id, key } = parseEntry(entry.trim(), source);
      const derivedId = await deriveId(key);
      const kid = id ?? derivedId;
      if (byId.has(kid)) throw configError(`${source} has two keys of one id`);
      keys.push({ kid, key });
      byId.set(kid, key);
      derived.push({ kid: derivedId, key });
    }
    // A key that had no id keeps opening what it wrote when it is given one.
    for (const { kid, key } of derived) if (!byId.has(kid)) byId.set(kid, key);
    const [current] = keys;
    if (current === undefined) throw configError(malformed(source));
    return new Keyring(current, byId);
  }

  current(): EncryptionKey {
    return this.#current;
  }

  byId(kid: string): Uint8Array | undefined {
    return this.#byId.get(kid);
  }

  /** Whether every key of the other is one of these. */
  includes(other: Keyring): boolean {
    return [...other.#byId.values()].every((key) =>
      [...this.#byId.values()].some((own) => own.every((byte, at) => byte === key[at])),
    );
  }

  /** For envelopes that do not say which key made them. */
  all(): Uint8Array[] {
    return [...this.#byId.values()];
  }
}

function parseEntry(entry: string, source: string): { id: string | undefined; key: Uint8Array } {
  const colon = entry.indexOf(':');
  const id = colon < 0 ? undefined : entry.slice(0, colon).trim();
  if (id !== undefined && !KEY_ID.test(id)) {
    throw configError(`${source} has a key id that is not 1 to 32 letters, digits, _ or -`);
  }
  const key = parseKey(entry.slice(colon + 1).trim());
  if (key === undefined) throw configError(malformed(source));
  return { id, key };
}

/** Exactly 32 bytes: what is shorter or longer was meant for something else, and is not made to fit. */
function parseKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) {
    return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  }
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  return fromBase64Url(text.replace('=', '').replaceAll('+', '-').replaceAll('/', '_'));
}

async function deriveId(key: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(key));
  return toBase64Url(new Uint8Array(digest)).slice(0, DERIVED_ID_LENGTH);
}

function malformed(source: string): string {
  return `${source} must be 64 hexadecimal characters or 32 bytes in base64`;
}
