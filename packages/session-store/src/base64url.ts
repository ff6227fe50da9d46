/** As many arguments as any engine takes. */
const CHUNK = 8_192;

/** Without padding (RFC 4648, section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  let binary = '';
  for (let from = 0; from < bytes.length; from += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(from, from + CHUNK));
  }
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** `undefined` for anything that `toBase64Url` does not make, so that one value has one text. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = new Uint8Array(binary.length);
  // Not `Uint8Array.from`, which takes ten times as long: lists decode thousands of these.
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  // Only the last character can hold bits that stand for nothing.
  const rest = bytes.subarray(bytes.length - (bytes.length % 3));
  return text.endsWith(toBase64Url(rest)) ? bytes : undefined;
}
