const TAG_BYTES = 16;

type Bytes = Uint8Array<ArrayBuffer>;

/** AES-256-GCM under one key. Ciphertexts end with the tag. */
export type UserCipher = {
  seal(iv: Bytes, place: Bytes, plain: Bytes): Bytes | Promise<Bytes>;
  /** Throws or rejects when anything was changed. */
  open(iv: Bytes, place: Bytes, sealed: Bytes): Bytes | Promise<Bytes>;
};

/**
 * The cipher of a key that HKDF-SHA-256 makes from another one.
 *
 * Web Crypto sends every call to another thread and back, which takes many times as long as the few hundred bytes of a
 * field do. Where the platform has `node:crypto`, and tells without an import, that is taken; both write the same.
 */
export async function deriveCipher(key: Uint8Array, info: Uint8Array): Promise<UserCipher> {
  const node = nodeCrypto();
  return node === undefined ? webCipher(Uint8Array.from(key), Uint8Array.from(info)) : nodeCipher(node, key, info);
}

type NodeCrypto = typeof import('node:crypto');

function nodeCrypto(): NodeCrypto | undefined {
  const host = typeof process === 'undefined' ? undefined : process;
  // From Node 20.16 on; a worker or a browser may have a `process` without it.
  return host?.getBuiltinModule?.('node:crypto');
}

/** Exported for the test that both read each other. */
export function nodeCipher(node: NodeCrypto, key: Uint8Array, info: Uint8Array): UserCipher {
  const derived = node.hkdfSync('sha256', key, new Uint8Array(), info, key.length);
  const secret = node.createSecretKey(new Uint8Array(derived));
  const options = { authTagLength: TAG_BYTES };
  return {
    seal: (iv, place, plain) => {
      const cipher = node.createCipheriv('aes-256-gcm', secret, iv, options).setAAD(place);
      return joined(cipher.update(plain), cipher.final(), cipher.getAuthTag());
    },
    open: (iv, place, sealed) => {
      const at = sealed.length - TAG_BYTES;
      const decipher = node.createDecipheriv('aes-256-gcm', secret, iv, options).setAAD(place);
      decipher.setAuthTag(sealed.subarray(at));
      return joined(decipher.update(sealed.subarray(0, at)), decipher.final());
    },
  };
}

/** Exported for the test that both read each other. */
export async function webCipher(key: Bytes, info: Bytes): Promise<UserCipher> {
  const material = await crypto.subtle.importKey('raw', key, 'HKDF', false, ['deriveKey']);
  const rule = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
  const aes = { name: 'AES-GCM', length: 8 * key.length };
  const derived = await crypto.subtle.deriveKey(rule, material, aes, false, ['encrypt', 'decrypt']);
  const algorithm = (iv: Bytes, place: Bytes): AesGcmParams => {
    return { name: 'AES-GCM', iv, additionalData: place, tagLength: 8 * TAG_BYTES };
  };
  return {
    seal: async (iv, place, plain) => new Uint8Array(await crypto.subtle.encrypt(algorithm(iv, place), derived, plain)),
    open: async (iv, place, sealed) =>
      new Uint8Array(await crypto.subtle.decrypt(algorithm(iv, place), derived, sealed)),
  };
}

function joined(...parts: readonly Uint8Array[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
