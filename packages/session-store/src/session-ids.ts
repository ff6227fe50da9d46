import { invalid, invalidField } from './session-errors.ts';
import { byteLength, unstorable } from './text.ts';

const MAX_USER_ID_BYTES = 512;
const MAX_SESSION_ID_BYTES = 128;

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const LETTERS_AND_DIGITS = `${LETTERS}0123456789`;
const ID_LENGTH = 23;

/** One letter and 22 letters and digits: over 130 bits that nobody can guess. */
export function generateSessionId(): string {
  let id = '';
  while (id.length < ID_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(2 * ID_LENGTH))) {
      const alphabet = id === '' ? LETTERS : LETTERS_AND_DIGITS;
      // A remainder of 256 would favour the first characters: bytes beyond the last full round are drawn again.
      if (byte >= 256 - (256 % alphabet.length)) continue;
      id += alphabet[byte % alphabet.length];
      if (id.length === ID_LENGTH) break;
    }
  }
  return id;
}

/** @throws SessionStoreError `validation` */
export function assertIds(userId: unknown, sessionId: unknown): void {
  assertUserId(userId);
  if (sessionId === undefined || sessionId === null || sessionId === '') throw idsRequired();
  assertId('sessionId', sessionId, MAX_SESSION_ID_BYTES);
}

/** @throws SessionStoreError `validation` */
export function assertUserId(userId: unknown): void {
  if (userId === undefined || userId === null || userId === '') throw idsRequired();
  assertId('userId', userId, MAX_USER_ID_BYTES);
}

function assertId(name: string, id: unknown, maxBytes: number): void {
  if (typeof id !== 'string') throw invalidField(name, 'must be text');
  const reason = unstorable(id);
  if (reason !== undefined) throw invalidField(name, reason);
  if (byteLength(id) > maxBytes) throw invalidField(name, `must be at most ${maxBytes} bytes`);
}

function idsRequired(): Error {
  return invalid('userId and sessionId required');
}
