import { SessionStoreError } from '../errors.ts';
import { isPlainObject } from '../json-value.ts';
import type { FieldName, Lifetimes } from '../session-driver.ts';
import { FIELDS } from '../session-fields.ts';
import { SessionTable, type TableEntry } from '../table/session-table.ts';
import { earlierEntries } from './earlier-document.ts';

const FORMAT = 1;

/** The file is not what we write: it is left alone, somebody has to look at it. */
export function corrupt(reason: string): SessionStoreError {
  return new SessionStoreError('corrupt', `The session file is not valid: ${reason}; it was left unchanged`);
}

/**
 * `{ "format": 1, "versionFloor": …, "sessions": [ … ] }`: sessions as the API shows them, with what the store needs
 * beside. A field holds its value as it is, or the text of an envelope.
 */
export function writeDocument(table: SessionTable): string {
  const sessions = [...table.entries()].map(writeEntry).join(',\n');
  return `{"format":${FORMAT},"versionFloor":${table.versionFloor},"sessions":[\n${sessions}\n]}\n`;
}

function writeEntry({ record, lease }: TableEntry): string {
  const { fields, ...rest } = record;
  const own = JSON.stringify({ ...rest, lease });
  // Fields are JSON already: parsing them only to write them again would cost the most of a change.
  const texts = FIELDS.flatMap((name) => {
    const text = fields[name];
    return text === undefined ? [] : [`,${JSON.stringify(name)}:${isEnvelopeText(text) ? JSON.stringify(text) : text}`];
  });
  return `${own.slice(0, -1)}${texts.join('')}}`;
}

/**
 * @param text of the file; empty for an empty store
 * @param changedAt when the file was written, for sessions of earlier programs that do not say it
 * @throws SessionStoreError `corrupt`
 */
export function readDocument(text: string, lifetimes: Lifetimes, changedAt: number): SessionTable {
  const table = new SessionTable(lifetimes);
  const json = text.replace(/^\ufeff/, '').trim();
  if (json === '') return table;
  const document = parse(json);
  if (!isPlainObject(document) || document.format === undefined) {
    for (const entry of earlierEntries(document, lifetimes, changedAt)) table.put(entry);
    return table;
  }
  if (typeof document.format !== 'number' || document.format < FORMAT) throw corrupt('its format is unknown');
  if (document.format > FORMAT) throw corrupt('it was written by a newer version of this package');
  if (!Array.isArray(document.sessions)) throw corrupt('it has no list of sessions');
  for (const value of document.sessions as unknown[]) {
    const entry = readEntry(value);
    if (table.entry(entry.record) !== undefined) throw corrupt('it holds a session twice');
    table.put(entry);
  }
  if (isWhole(document.versionFloor)) table.raiseVersionFloor(document.versionFloor);
  return table;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // The parser quotes what it read.
    throw corrupt('it is not JSON');
  }
}

function readEntry(value: unknown): TableEntry {
  if (!isPlainObject(value)) throw corrupt('it holds a session that is not an object');
  const { userId, sessionId, status, createdAt, updatedAt, pendingSince, pendingUntil, version, lease } = value;
  const wellFormed =
    isText(userId) &&
    isText(sessionId) &&
    (status === 'pending' || status === 'active') &&
    [createdAt, updatedAt, pendingUntil, version].every(isWhole) &&
    (pendingSince === undefined || isWhole(pendingSince));
  if (!wellFormed) throw corrupt('it holds a session without ids, times or version');
  const record = { userId, sessionId, status, createdAt, updatedAt, pendingSince, pendingUntil, version };
  return { record: { ...record, fields: readFields(value) } as TableEntry['record'], lease: readLease(lease) };
}

/** Every field that is there, as drivers keep it. */
export function readFields(value: Readonly<Record<string, unknown>>): Readonly<Partial<Record<FieldName, string>>> {
  const fields: Partial<Record<FieldName, string>> = {};
  for (const name of FIELDS) {
    const field = value[name];
    if (field === undefined || field === null) continue;
    fields[name] = typeof field === 'string' && isEnvelopeText(field) ? field : JSON.stringify(field);
  }
  return fields;
}

function readLease(value: unknown): TableEntry['lease'] {
  if (!isPlainObject(value) || typeof value.token !== 'string' || typeof value.until !== 'number') return undefined;
  return { token: value.token, until: value.until };
}

/** JSON never begins like this, and text of that kind is not accepted. */
function isEnvelopeText(text: string): boolean {
  return text.startsWith('mcpenc:') || text.startsWith('enc:');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
