import type { Lifetimes, NewRecord } from '../session-driver.ts';
import { COLUMNS, FIELD_NAMES, toColumn } from './columns.ts';
import type { TableNames } from './names.ts';
import { keyed, live } from './rules.ts';
import { Parameters, type Statement } from './statement.ts';

/** Set by `insertStatement` from the moments of the caller, which are never later than the clock of the server. */
const MOMENTS = ['active', 'created_at', 'updated_at', 'expires_at', 'pending_since', 'version'];

/**
 * Microseconds: a session that is created again begins above every version of the one before, unless that was changed
 * more than once in each of them.
 */
const FIRST_VERSION = 'floor(extract(epoch from now()) * 1000000)::bigint';

/**
 * Creates a session, or replaces an expired leftover of its key; no row comes back when a live one is there. The
 * replacement sets `rekeyed_at` to another value, or the trigger would overwrite `updated_at`.
 *
 * @param id tells this row from another one of the same key, see `ownRowStatement`
 */
export function insertStatement(names: TableNames, lifetimes: Lifetimes, record: NewRecord, id: string): Statement {
  const p = new Parameters();
  const fields = FIELD_NAMES.map((field) => {
    const value = record.fields[field];
    const { name, type } = COLUMNS[field];
    return { name, value: `${p.text(value === undefined ? null : toColumn(field, value))}::${type}` };
  });
  const columns = ['id', 'user_id', 'session_id', ...MOMENTS, ...fields.map(({ name }) => name)];
  const own = `${p.text(id)}::uuid, ${p.text(record.userId)}, ${p.text(record.sessionId)}`;
  const pending = p.interval(Math.min(lifetimes.pendingMs, lifetimes.maxPendingMs));
  const text = `
insert into ${names.sql} as s (${columns.join(', ')})
select ${own}, m.active, m.created, m.updated,
  case when m.active then m.updated + ${p.interval(lifetimes.dormantMs)} else m.created + ${pending} end,
  case when m.active then null else m.created end, ${FIRST_VERSION},
  ${fields.map(({ value }) => value).join(', ')}
from (select ${p.text(String(record.status === 'active'))}::boolean as active,
  least(now(), ${p.moment(record.createdAt)}) as created,
  least(now(), coalesce(${p.moment(record.updatedAt)}, now())) as updated) as m
on conflict (user_id, session_id) do update set
  ${columns.map((name) => `${name} = ${name === 'version' ? 'greatest(excluded.version, s.version + 1)' : `excluded.${name}`}`).join(', ')},
  lock_token = null, lock_until = null, rekeyed_at = clock_timestamp()
where not (${live(p, lifetimes)})
returning s.version::text as version`;
  return { text, values: p.values };
}

/** Whether the row of a key is the one that was inserted under `id`. For an insert whose answer was lost. */
export function ownRowStatement(names: TableNames, key: NewRecord, id: string): Statement {
  const p = new Parameters();
  const text = `select (s.id = ${p.text(id)}::uuid)::text as own from ${names.sql} as s where ${keyed(p, key)}`;
  return { text, values: p.values };
}
