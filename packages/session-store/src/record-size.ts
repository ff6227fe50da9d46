import type { SessionStoreError } from './errors.ts';
import type { SessionKey, StoredRecord } from './session-driver.ts';
import { invalid } from './session-errors.ts';
import { byteLength } from './text.ts';

/** What a record takes as it is stored: its ids and its fields, in the form that they have when they are encrypted. */
export function recordBytes(key: SessionKey, fields: StoredRecord['fields']): number {
  return idBytes(key) + fieldBytes(fields);
}

export function idBytes({ userId, sessionId }: SessionKey): number {
  return byteLength(userId) + byteLength(sessionId);
}

export function fieldBytes(fields: StoredRecord['fields']): number {
  return Object.values(fields).reduce((sum, text) => sum + byteLength(text), 0);
}

export function tooLarge(bytes: number, max: number): SessionStoreError {
  return invalid(
    `Session record is ${bytes} bytes, the limit is ${max}: store less in this session, or raise the option maxRecordBytes`,
  );
}
