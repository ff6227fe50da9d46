/** `enc:1:<iv>:<tag>:<ciphertext>` in hexadecimal, of earlier programs: AES-256-GCM directly under the key. */
const LEGACY = /^enc:1:([0-9a-f]{24}|[0-9a-f]{32}):([0-9a-f]{32}):((?:[0-9a-f]{2})*)$/i;

export function isLegacyEnvelope(stored: string): boolean {
  return stored.startsWith('enc:');
}

/** The value under the first key that opens it, or `undefined`. */
export async function openLegacyEnvelope(stored: string, keys: readonly Uint8Array[]): Promise<string | undefined> {
  const [, iv, tag, ciphertext] = LEGACY.exec(stored) ?? [];
  if (iv === undefined || tag === undefined || ciphertext === undefined) return undefined;
  for (const key of keys) {
    const aes = await crypto.subtle.importKey('raw', Uint8Array.from(key), 'AES-GCM', false, ['decrypt']);
    const algorithm = { name: 'AES-GCM', iv: bytesOf(iv), tagLength: 128 };
    try {
      const plain = await crypto.subtle.decrypt(algorithm, aes, bytesOf(ciphertext + tag));
      return new TextDecoder('utf-8', { fatal: true }).decode(plain);
    } catch {
      // Made with another key: the next one is tried, and the caller is told when none opens it.
    }
  }
  return undefined;
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
