type ByteCounter = { byteLength(text: string): number };

/** Node, Deno and Bun count without encoding; Workers have to encode. */
const counter: ByteCounter = (globalThis as { Buffer?: ByteCounter }).Buffer ?? {
  byteLength: (text) => encoder.encode(text).length,
};
const encoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export function utf8Length(text: string): number {
  return counter.byteLength(text);
}

/** Whether every store can keep this text as it is: no lone surrogates (they become U+FFFD), no NUL. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** The UTF-8 bytes of a text, as a chunk of a response body. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Random lower-case base 36 text: ids of nodes, producers, claims and epochs. */
export function randomId(length = 16): string {
  let id = '';
  while (id.length < length) {
    // 252 is the highest multiple of 36 below 256: larger bytes would favour some letters.
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      if (byte < 252 && id.length < length) id += (byte % 36).toString(36);
    }
  }
  return id;
}
