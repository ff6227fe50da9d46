/** Every benchmark sends frames of this many bytes. */
export const FRAME_BYTES = 200;

const DIGITS = 8;
const TAIL = '"}}}\n\n';
const BEGIN =
  'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"text":"';
const MIDDLE = '","n":"';
const TEXT = 'x'.repeat(FRAME_BYTES - BEGIN.length - MIDDLE.length - DIGITS - TAIL.length);
const HEAD = BEGIN + TEXT + MIDDLE;

/** One SSE frame with a number in it, from 0 to 99,999,999. */
export function makeFrame(number: number): string {
  return HEAD + String(number).padStart(DIGITS, '0') + TAIL;
}

/** The number of a frame, read without decoding it, so that checking costs next to nothing. */
export function numberOf(chunk: Uint8Array): number {
  const end = chunk.length - TAIL.length;
  let number = 0;
  for (let i = end - DIGITS; i < end; i += 1) number = number * 10 + (chunk[i] ?? 0) - 48;
  return number;
}

/** The `id:` that a frame was given on its way. */
export function eventIdOf(chunk: Uint8Array): string {
  const id = /^id: (.+)$/m.exec(new TextDecoder().decode(chunk))?.[1];
  if (id === undefined) throw new Error('a frame has no id');
  return id;
}
