import type { FieldName, SessionKey, StoredRecord } from '../session-driver.ts';

/**
 * Fields of a record that are not of the session itself: version, status, since when it is pending, until when it may
 * be, and its last change. The scripts write them; one more, `_w`, is theirs alone.
 */
const META = ['_v', '_st', 'createdAt', '_u', '_ps', '_pu'] as const;

/** What `HMGET` has to ask for. */
export function hashFields(fields: readonly FieldName[]): string[] {
  return [...META, ...fields];
}

/** @param answer of `HMGET` for `hashFields(fields)`; `undefined` when there is no record */
export function toRecord(key: SessionKey, fields: readonly FieldName[], answer: unknown): StoredRecord | undefined {
  const values = answer as (string | null)[];
  const [version, status, createdAt, updatedAt, pendingSince, pendingUntil] = values;
  if (version == null) return undefined;
  const found = fields.flatMap((field, index) => {
    const value = values[META.length + index];
    return value == null ? [] : [[field, value] as const];
  });
  return {
    userId: key.userId,
    sessionId: key.sessionId,
    status: status === 'active' ? 'active' : 'pending',
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
    pendingSince: pendingSince == null ? undefined : Number(pendingSince),
    pendingUntil: Number(pendingUntil),
    version: Number(version),
    fields: Object.fromEntries(found),
  };
}
