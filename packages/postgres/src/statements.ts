import { LOST } from '@tmcp/session-manager';
import { literal, type StreamNames } from './schema/names.ts';

/** What a running backplane sends. `$1` is the namespace everywhere. */
export type Statements = {
  readonly append: string;
  readonly beat: string;
  readonly read: string;
  readonly search: string;
  readonly locate: string;
  readonly inspect: string;
  readonly putLarge: string;
  readonly getLarge: string;
  readonly leave: string;
  readonly position: string;
};

/** Bytes of a page. A page holds at least one part, however large. */
const PAGE_BYTES = 1024 * 1024;
const PAGE_PARTS = 500;
export const SEARCH_PARTS = 64;

export function statements(t: StreamNames): Statements {
  return {
    append: `select * from ${t.append}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,

    // Waits for no append and no disk. Without a cursor it makes the node known, else only those are written that are.
    beat: `with h as (select *, tableoid::int4 as class from ${t.head} where ns = $1),
      b as (update ${t.node} n set beat = clock_timestamp(), cursor = coalesce($3::bigint, least(n.cursor, h.pos)), lock_key = $5::int
        from h where n.ns = $1 and n.id = $2 returning n.id),
      made as (insert into ${t.node} (ns, id, beat, cursor, lock_key)
        select $1, $2, clock_timestamp(), h.pos, $5::int from h where $3::bigint is null and not exists (select from b))
      select h.epoch, h.pos, h.trimmed,
        (select l.tok from ${t.log} l where l.ns = $1 and l.last = coalesce($4::bigint, h.pos)),
        not exists (select from b), h.channel, h.channel in (select pg_listening_channels()), h.class,
        extract(epoch from clock_timestamp()) * 1000, set_config('synchronous_commit', 'off', true)
      from h`,

    read: `select h.epoch, h.trimmed, l.* from ${t.head} h left join lateral (
        select last, n, tok, head, data from ${t.log} where ns = $1 and last > $2 and bytes < ${PAGE_BYTES} + coalesce(
          (select bytes from ${t.log} where ns = $1 and last > $2 order by last limit 1), 0)
        order by last limit ${PAGE_PARTS}) l on true
      where h.ns = $1 order by l.last`,

    // Ids and the sign for everyone stand in `head`; payloads are touched for hits only, and given up to a page.
    search: `select h.epoch, h.trimmed, f.last, f.n, f.tok, f.head, case when f.fits then f.data end, f.fits
      from ${t.head} h left join lateral (
        select *, ${PAGE_BYTES} > coalesce(sum(octet_length(data)) over (
              order by last rows between unbounded preceding and 1 preceding), 0) as fits
          from (select last, n, tok, head, data from ${t.log}
            where ns = $1 and last > $2 and last - n < $3 and (strpos(head, $4) > 0 or strpos(head, '[0,') > 0)
            order by last limit ${SEARCH_PARTS}) found) f on true
      where h.ns = $1 order by f.last`,

    locate: `select ${liveness(t.head)} from ${t.claims} c left join ${t.node} n on n.ns = c.ns and n.id = c.node
      where c.ns = $1 and c.id = $2 and c.detach is null`,

    inspect: `select ${liveness(t.head)}, n.cursor from ${t.node} n where n.ns = $1 and n.id = $2`,

    putLarge: `insert into ${t.large} (ns, id, body, at) values ($1, $2, $3, clock_timestamp())
      on conflict (ns, id) do update set at = excluded.at`,
    getLarge: `select body from ${t.large} where ns = $1 and id = $2`,

    // The producer stays a while: a first run of its last batch may still be waiting for the head. A claim that nobody
    // gave back (its create was never answered) is released where its stream would have begun.
    leave: `with given_back as (update ${t.claims} set detach = coalesce(origin, ${LOST}),
        sent = coalesce(origin, ${LOST}), updated_at = clock_timestamp() at time zone 'UTC'
        where ns = $1 and node = $2 and detach is null)
      delete from ${t.node} where ns = $1 and id = $2`,

    position: `select pos from ${t.head} where ns = $1`,
  };
}

/**
 * A frozen process keeps its lock, so only the beat shows it; a dead one loses it at once. `$3` is the timeout. A beat
 * within the last `$4` milliseconds stands for the lock: who beats lives.
 */
function liveness(head: string): string {
  return `case
    when n.beat is null or n.beat < clock_timestamp() - $3 * interval '1 millisecond' then 'dead'
    when n.beat > clock_timestamp() - $4 * interval '1 millisecond' then 'attached'
    when n.lock_key is null or exists (select from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.granted
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
      and l.classid = ${literal(head)}::regclass and l.objid = n.lock_key::oid and l.objsubid = 2) then 'attached'
    else 'suspect' end`;
}
