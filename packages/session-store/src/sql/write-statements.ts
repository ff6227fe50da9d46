import { fieldBytes, idBytes } from '../record-size.ts';
import type { FieldName, Lifetimes, Patch, SessionKey } from '../session-driver.ts';
import { COLUMNS, FIELD_NAMES, toColumn } from './columns.ts';
import type { TableNames } from './names.ts';
import { keyed, live, newDeadline, PENDING_SINCE, versionIs } from './rules.ts';
import { Parameters, type Statement } from './statement.ts';

/*
 * Each write is one statement, judged by the row as it is when it is locked: a row that another transaction changed
 * meanwhile is looked at again. Beside it stands what was found at first, so that a session that is missing can be told
 * from a version that is another one. Both come back in one row, as `found` and `version`.
 */

const answer = (change: string, found: string, names: TableNames): string => `
with found as (select from ${names.sql} as s where ${found}), changed as (${change} returning s.version)
select (select exists (select from found))::text as found, (select version::text from changed) as version`;

/**
 * Sets only what was given, so that changes of other fields by others are kept. Beside `found` and `version` it answers
 * with what would have forbidden the change at first: `other`, another version, and `large`, the bytes of its fields.
 */
export function patchStatement(names: TableNames, lifetimes: Lifetimes, key: SessionKey, patch: Patch): Statement {
  const p = new Parameters();
  const set = [...fieldAssignments(p, patch), ...stateAssignments(p, lifetimes, patch)];
  const there = `${keyed(p, key)} and ${live(p, lifetimes)}`;
  const isVersion = versionIs(p, patch.ifVersion);
  const { bytes, fits } = sizeAfter(p, key, patch);
  const text = `
with found as (
  select not (${isVersion}) as other, case when not (${fits}) then ${bytes} end as large from ${names.sql} as s where ${there}
), changed as (
  update ${names.sql} as s set ${set.join(', ')} where ${there} and ${isVersion} and (${fits}) returning s.version
)
select (select exists (select from found))::text as found, (select version::text from changed) as version,
  (select other::text from found) as other, (select large::text from found) as large`;
  return { text, values: p.values };
}

/** What the fields take after the change, and whether they may. */
function sizeAfter(p: Parameters, key: SessionKey, { set, unset, maxBytes }: Patch): { bytes: string; fits: string } {
  if (maxBytes === undefined || Object.keys(set).length === 0) return { bytes: 'null::bigint', fits: 'true' };
  const isChanged = (field: FieldName): boolean => set[field] !== undefined || unset.includes(field);
  const given = p.bigint(fieldBytes(set));
  const bytes = `${given} + ${octets(FIELD_NAMES.filter((field) => !isChanged(field)))}`;
  const fits = `${bytes} <= ${p.bigint(maxBytes - idBytes(key))} or ${given} <= ${octets(FIELD_NAMES.filter(isChanged))}`;
  return { bytes, fits };
}

/** JSON counts with the spaces that the server puts into it. */
function octets(fields: readonly FieldName[]): string {
  return fields.length === 0
    ? '0'
    : `octet_length(concat(${fields.map((field) => `s.${COLUMNS[field].name}`).join(', ')}))`;
}

function fieldAssignments(p: Parameters, { set, unset }: Patch): string[] {
  const given = Object.entries(set) as [FieldName, string][];
  return [
    ...given.map(([field, value]) => {
      const { name, type } = COLUMNS[field];
      return `${name} = ${p.text(toColumn(field, value))}::${type}`;
    }),
    ...unset.map((field) => `${COLUMNS[field].name} = null`),
  ];
}

function stateAssignments(p: Parameters, lifetimes: Lifetimes, { kind, status }: Patch): string[] {
  // Any other value of `rekeyed_at` tells the trigger to leave `updated_at`.
  if (kind === 'rekey') return ['rekeyed_at = clock_timestamp()'];
  return [
    'updated_at = now()',
    `expires_at = ${newDeadline(p, lifetimes, status)}`,
    ...(kind === 'content' ? ['version = s.version + 1'] : []),
    ...(status === undefined ? [] : [`active = ${status === 'active'}`]),
    ...(status === 'pending' ? [`pending_since = case when s.active then now() else ${PENDING_SINCE} end`] : []),
  ];
}

/** Expired leftovers go as well, whatever their version, but do not count as found. */
export function removeStatement(
  names: TableNames,
  lifetimes: Lifetimes,
  key: SessionKey,
  ifVersion: number | undefined,
): Statement {
  const p = new Parameters();
  const row = keyed(p, key);
  const isLive = live(p, lifetimes);
  const change = `delete from ${names.sql} as s where ${row} and (${versionIs(p, ifVersion)} or not (${isLive}))`;
  return { text: answer(change, `${row} and ${isLive}`, names), values: p.values };
}

/** Free, expired, or held under the same token. Time passes here while others hold the row, hence no `now()`. */
export function acquireStatement(
  names: TableNames,
  lifetimes: Lifetimes,
  key: SessionKey,
  token: string,
  ttlMs: number,
): Statement {
  const p = new Parameters();
  const there = `${keyed(p, key)} and ${live(p, lifetimes)}`;
  const mine = p.text(token);
  const change = `update ${names.sql} as s set lock_token = ${mine}, lock_until = clock_timestamp() + ${p.interval(ttlMs)}
  where ${there} and (s.lock_token is null or s.lock_token = ${mine} or s.lock_until is null or s.lock_until <= clock_timestamp())`;
  return { text: answer(change, there, names), values: p.values };
}

export function releaseStatement(names: TableNames, key: SessionKey, token: string): Statement {
  const p = new Parameters();
  const text = `update ${names.sql} as s set lock_token = null, lock_until = null
where ${keyed(p, key)} and s.lock_token = ${p.text(token)}`;
  return { text, values: p.values };
}

/** Rows that others are about to change are left to the next sweep: nobody waits for it. */
export function sweepStatement(names: TableNames, lifetimes: Lifetimes, limit: number): Statement {
  const p = new Parameters();
  const text = `
with dead as (select s.id from ${names.sql} as s where not (${live(p, lifetimes)}) limit ${p.bigint(limit)} for update skip locked),
gone as (delete from ${names.sql} as s using dead where s.id = dead.id returning s.active)
select (count(*) filter (where gone.active is not true))::text as pending, (count(*) filter (where gone.active))::text as dormant from gone`;
  return { text, values: p.values };
}

export function clearStatement(names: TableNames): Statement {
  return { text: `delete from ${names.sql}`, values: [] };
}
