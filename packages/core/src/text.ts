const encoder = new TextEncoder();

/** Whether a text is well-formed and 1 to `maxBytes` UTF-8 bytes long. */
export function isTextOfSize(text: string, maxBytes: number): boolean {
  // A UTF-16 unit takes one to three bytes: most texts need not be encoded to know.
  if (text === '' || text.length > maxBytes || !text.isWellFormed()) return false;
  return text.length * 3 <= maxBytes || encoder.encode(text).byteLength <= maxBytes;
}

/** The same, and free of control characters. */
export function isPlainText(text: string, maxBytes: number): boolean {
  return isTextOfSize(text, maxBytes) && !/\p{Cc}/u.test(text);
}
