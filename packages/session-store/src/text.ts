const encoder = new TextEncoder();

/** Length in UTF-8 bytes. */
export function byteLength(text: string): number {
  return encoder.encode(text).byteLength;
}

/**
 * Why a text cannot be stored, or `undefined`. NUL ends a text in PostgreSQL; a lone surrogate becomes U+FFFD on its way
 * to any backend, so that two different texts would meet. Refused everywhere, so that all backends are alike.
 */
export function unstorable(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL';
  return text.isWellFormed() ? undefined : 'must not contain lone surrogates';
}

/** Order of UTF-8 bytes, which is that of code points. JavaScript compares UTF-16 units: different above U+FFFF. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for what comes after all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
