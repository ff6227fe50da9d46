import type { FieldName, Lifetimes, PageRequest, SessionKey, StoredRecord } from '../session-driver.ts';
import { COLUMNS, fromColumn } from './columns.ts';
import type { TableNames } from './names.ts';
import { keyed, live, PENDING_SINCE } from './rules.ts';
import { milliseconds, Parameters, type Row, type Statement } from './statement.ts';

/** Answers over HTTP are limited in size: a page ends here, but holds one record at least. */
export const MAX_PAGE_BYTES: number = 4 * 1024 * 1024;

/** In the order of bytes, whatever the collation of the database. */
const SESSION_ID = 's.session_id collate "C"';

/** As callers see it: rows of others have microseconds, by which a cursor could not find its place. */
const CREATED = milliseconds('s.created_at');

export function readStatement(
  names: TableNames,
  lifetimes: Lifetimes,
  key: SessionKey,
  fields: readonly FieldName[],
): Statement {
  const p = new Parameters();
  const text = `select ${selected(fields).join(', ')} from ${names.sql} as s where ${keyed(p, key)} and ${live(p, lifetimes)}`;
  return { text, values: p.values };
}

/** `total` counts the rows that were found, one more than the limit at most: with more than came back, a page follows. */
export function readUserStatement(
  names: TableNames,
  lifetimes: Lifetimes,
  userId: string,
  { fields, limit, after }: PageRequest,
): Statement {
  const p = new Parameters();
  const sizes = fields.map((field) => `coalesce(octet_length(s.${COLUMNS[field].name}::text), 0)`);
  const size = ['octet_length(s.session_id)', ...sizes].join(' + ');
  const rest =
    after === undefined
      ? ''
      : ` and (${CREATED}, ${SESSION_ID}) > (${p.bigint(after.createdAt)}, ${p.text(after.sessionId)} collate "C")`;
  const ordered = `order by ${CREATED}, ${SESSION_ID}`;
  const columns = [...RECORD_COLUMNS, ...fields.map(columnAlias)];
  const text = `
select ${columns.map((name) => `p.${name}`).join(', ')}, p.total::text as total from (
  select f.*, count(*) over () as total, row_number() over (order by f.place) as n, sum(f.size) over (order by f.place) as bytes
  from (
    select ${selected(fields).join(', ')}, ${size} as size, row_number() over (${ordered}) as place
    from ${names.sql} as s where s.user_id = ${p.text(userId)} and ${live(p, lifetimes)}${rest}
    ${ordered} limit ${p.bigint(limit)} + 1
  ) as f
) as p where p.n <= ${p.bigint(limit)} and (p.n = 1 or p.bytes <= ${p.bigint(MAX_PAGE_BYTES)}) order by p.n`;
  return { text, values: p.values };
}

export function listIdsStatement(names: TableNames, lifetimes: Lifetimes, userId: string): Statement {
  const p = new Parameters();
  const text = `select s.session_id as sid from ${names.sql} as s where s.user_id = ${p.text(userId)} and ${live(p, lifetimes)} order by ${SESSION_ID}`;
  return { text, values: p.values };
}

/** Keys in the order of their unique index, whose collation does not matter here. */
export function scanStatement(
  names: TableNames,
  lifetimes: Lifetimes,
  after: SessionKey | undefined,
  limit: number,
): Statement {
  const p = new Parameters();
  const rest =
    after === undefined ? '' : ` and (s.user_id, s.session_id) > (${p.text(after.userId)}, ${p.text(after.sessionId)})`;
  const text = `select s.user_id as uid, s.session_id as sid from ${names.sql} as s where ${live(p, lifetimes)}${rest}
order by s.user_id, s.session_id limit ${p.bigint(limit)}`;
  return { text, values: p.values };
}

/** In lower case, which is what drivers that rename columns leave alone. */
const columnAlias = (field: FieldName): string => field.toLowerCase();

const RECORD_COLUMNS = ['sid', 'status', 'created', 'updated', 'since', 'until', 'version'];

function selected(fields: readonly FieldName[]): string[] {
  return [
    's.session_id as sid',
    `case when s.active then 'active' else 'pending' end as status`,
    `${CREATED}::text as created`,
    `${milliseconds('s.updated_at')}::text as updated`,
    `${milliseconds(`case when s.active then s.pending_since else ${PENDING_SINCE} end`)}::text as since`,
    `${milliseconds('s.expires_at')}::text as until`,
    's.version::text as version',
    ...fields.map((field) => `s.${COLUMNS[field].name}::text as ${columnAlias(field)}`),
  ];
}

/** A row of `readStatement` or `readUserStatement`. */
export function toRecord(userId: string, row: Row, fields: readonly FieldName[]): StoredRecord {
  const found: Partial<Record<FieldName, string>> = {};
  for (const field of fields) {
    const value = row[columnAlias(field)];
    if (value !== null && value !== undefined) found[field] = fromColumn(field, String(value));
  }
  const { sid, status, created, updated, since, until, version } = row;
  return {
    userId,
    sessionId: String(sid),
    status: status === 'active' ? 'active' : 'pending',
    createdAt: Number(created),
    updatedAt: Number(updated),
    pendingSince: since === null || since === undefined ? undefined : Number(since),
    pendingUntil: Number(until),
    version: Number(version),
    fields: found,
  };
}
