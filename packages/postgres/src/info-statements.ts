import type { InfoField } from '@tmcp/session-manager';
import type { InfoNames } from './schema/info-names.ts';
import { literal } from './schema/names.ts';

/** One statement each, in a transaction of its own: that works through poolers, over HTTP, and at any isolation level. */
export type InfoStatements = {
  readonly read: string;
  readonly write: Readonly<Record<InfoField, string>>;
  readonly subscribe: string;
  readonly unsubscribe: string;
  readonly subscribers: string;
  readonly delete: string;
  readonly removeExpired: string;
};

/** Sessions that one run of `removeExpired` removes at most, so that no transaction is long. */
export const EXPIRED_PER_STEP = 500;

/** Of the advisory lock that lets one process at a time clean up. */
const LOCK_CLASS = 0x746d6371;

/**
 * `now()` is the arrival of the statement, not the moment at which it obtained its locks: a write that waited inside
 * the server is as old as it is. One that waited on its way there, or in a server that was frozen, says by when it was
 * sent at the latest; it is not considered when that was more than a second ago, so that a clock that was set does no
 * harm. Writes answer the server's clock in microseconds, and whether they were considered.
 *
 * Whoever writes takes the session's row in `lifetimes` first, so nobody waits in a circle. That row decides what
 * counts; removing what does not count is only tidying up, and may miss rows that another statement adds meanwhile.
 */
export function infoStatements(t: InfoNames): InfoStatements {
  return {
    read: read(t),
    write: {
      clientCapabilities: write(t, t.clientCapabilities),
      clientInfo: write(t, t.clientInfo),
      logLevel: write(t, t.logLevel),
    },
    subscribe: subscribe(t),
    unsubscribe: unsubscribe(t),
    subscribers: subscribers(t),
    delete: deleteSession(t),
    removeExpired: removeExpired(t),
  };
}

const ms = (parameter: string): string => `${parameter}::float8 * interval '1 millisecond'`;
/** When a write was called. No row when it is not considered. */
const call = (age: string, latest: string): string =>
  `call as materialized (select least(now(), sent) - ${ms(age)} as at
    from (select to_timestamp(${latest}::float8 / 1000000) as sent) s where now() <= sent + interval '1 second')`;
const ANSWER =
  'select (extract(epoch from now()) * 1000000)::bigint::text as now, (select count(*) from call)::text as considered';
const hash = (parameter: string): string => `sha256(convert_to(${parameter}::text, 'UTF8'))`;
const tables = (t: InfoNames): string[] => [t.clientCapabilities, t.clientInfo, t.logLevel, t.subscriptions];

/**
 * $1 namespace, $2 session, $3 time to live, $4 what a use extends it to: a little more, so that not every request has
 * to write.
 */
function read(t: InfoNames): string {
  const value = (table: string, alias: string): string =>
    `left join ${table} ${alias} on ${alias}.ns = s.ns and ${alias}.id = s.id and ${alias}.at > s.ended_at`;
  return `with used as (
  update ${t.lifetimes} set expires_at = now() + ${ms('$4')} where ns = $1 and id = $2 and written_at > ended_at
    and expires_at > now() and expires_at < now() + ${ms('$3')}
)
select c.value::text as client_capabilities, i.value::text as client_info, l.value::text as log_level
  from ${t.lifetimes} s ${value(t.clientCapabilities, 'c')} ${value(t.clientInfo, 'i')} ${value(t.logLevel, 'l')}
  where s.ns = $1 and s.id = $2 and s.expires_at > now()`;
}

/**
 * $1 namespace, $2 session, $3 age, $4 latest moment of sending, $5 extended time to live. Gives no row when the session
 * was deleted after the call. What an expired session had said is void, though it may still be there.
 */
function used(t: InfoNames): string {
  return `with ${call('$3', '$4')}, session as (
  insert into ${t.lifetimes} as s (ns, id, written_at, expires_at)
    select $1::text, $2::text, at, now() + ${ms('$5')} from call
    on conflict (ns, id) do update set
      ended_at = case when s.expires_at > now() then s.ended_at else greatest(s.ended_at, s.written_at) end,
      written_at = greatest(s.written_at, excluded.written_at), expires_at = excluded.expires_at
      where s.ended_at < excluded.written_at
    returning 1
)`;
}

/** $6 JSON. */
function write(t: InfoNames, table: string): string {
  return `${used(t)}, stored as (
  insert into ${table} as t (ns, id, value, at) select $1::text, $2::text, $6::text, at from call, session
    on conflict (ns, id) do update set value = excluded.value, at = excluded.at where t.at <= excluded.at
) ${ANSWER}`;
}

/** $6 URI. */
function subscribe(t: InfoNames): string {
  return `${used(t)}, stored as (
  insert into ${t.subscriptions} as t (ns, id, value, hash, at)
    select $1::text, $2::text, $6::text, ${hash('$6')}, at from call, session
    on conflict (ns, hash, id) do update set at = greatest(t.at, excluded.at)
) ${ANSWER}`;
}

/** $1 namespace, $2 session, $3 age, $4 latest moment of sending, $5 URI. */
function unsubscribe(t: InfoNames): string {
  return `with ${call('$3', '$4')}, removed as (
  delete from ${t.subscriptions} t using call c where t.ns = $1 and t.hash = ${hash('$5')} and t.id = $2 and t.value = $5
    and t.at <= c.at
) ${ANSWER}`;
}

/** $1 namespace, $2 URI. */
function subscribers(t: InfoNames): string {
  return `select t.id::text as id from ${t.subscriptions} t join ${t.lifetimes} s on s.ns = t.ns and s.id = t.id
  where t.ns = $1 and t.hash = ${hash('$2')} and t.value = $2 and t.at > s.ended_at and s.expires_at > now()`;
}

/** $1 namespace, $2 session, $3 age, $4 latest moment of sending, $5 how long the deletion is remembered. */
function deleteSession(t: InfoNames): string {
  const remove = (table: string, i: number): string =>
    `d${i} as (delete from ${table} t using ended e where t.ns = e.ns and t.id = e.id and t.at <= e.ended_at)`;
  return `with ${call('$3', '$4')}, ended as (
  insert into ${t.lifetimes} as s (ns, id, written_at, ended_at, expires_at)
    select $1::text, $2::text, '-infinity'::timestamptz, at, now() + ${ms('$5')} from call
    on conflict (ns, id) do update set ended_at = greatest(s.ended_at, excluded.ended_at),
      expires_at = case when s.written_at > excluded.ended_at then s.expires_at else excluded.expires_at end
    returning ns, id, ended_at
), ${tables(t).map(remove).join(', ')}
${ANSWER}`;
}

/** Removes a limited number of sessions, and answers how many it were. Does nothing while another process does it. */
function removeExpired(t: InfoNames): string {
  const remove = (table: string, i: number): string =>
    `d${i} as (delete from ${table} t using gone g where t.ns = g.ns and t.id = g.id)`;
  return `with turn as materialized (
  select pg_try_advisory_xact_lock(${LOCK_CLASS}, hashtext(${literal(t.lifetimes)})) as mine
), gone as (
  delete from ${t.lifetimes} where (ns, id) in (
    select s.ns, s.id from ${t.lifetimes} s where (select mine from turn) and s.expires_at <= now()
      order by s.expires_at limit ${EXPIRED_PER_STEP} for update skip locked
  ) returning ns, id
), ${tables(t).map(remove).join(', ')}
select count(*)::text as count from gone`;
}
