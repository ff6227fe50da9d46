import type { MaintenanceAnswer, MaintenanceRequest } from '@tmcp/session-manager';
import type { PostgresConnection } from './postgres-connection.ts';
import { LOSES, literal, type StreamNames } from './schema/names.ts';

/** Rows that one statement removes at most. */
const STEP = 5_000;
/** Large payloads that one statement removes at most: each may be thousands of pages. */
const LARGE_STEP = 100;
/** Time after which a run begins no further step: the rest waits for the next run. */
const BUDGET_MS = 500;

/**
 * Removes what has expired in one namespace: nodes that are gone, released claims, idle producers, large payloads and
 * the beginning of the log. By one node at a time, in bounded steps, and without making appends wait, for the one
 * update of their locked row is a statement of its own.
 *
 * Trimming is announced before it is done: whoever finds a hole in the log has also been told that it was trimmed.
 * Ages are counted up to `asOf`, never up to the clock of the moment in which a server that was frozen gets to it.
 * None of this needs to survive a crash before the next flush; what is undone will be done again.
 */
export class Maintenance {
  readonly names: StreamNames;
  readonly #connection: PostgresConnection;
  readonly #namespace: string;
  /** Nothing is stored up to here, so that index entries of deleted rows are not walked over again and again. */
  #deletedUpTo = 0;

  constructor(connection: PostgresConnection, names: StreamNames, namespace: string) {
    this.#connection = connection;
    this.names = names;
    this.#namespace = namespace;
  }

  async run(request: MaintenanceRequest): Promise<MaintenanceAnswer> {
    const overtaken = (await this.#clean(request)) ? await this.#trim(request) : 0;
    const silent = await this.#connection.query(
      `select n.id, ${BEAT} from ${this.names.node} n where n.ns = $1 and ${isOlder('n.beat', '$2', '$3')}`,
      [this.#namespace, request.sessionTimeoutMs, request.asOf],
    );
    return { silent: silent.map(([id, beat]) => ({ node: id ?? '', beat: beat ?? '' })), overtaken };
  }

  /** Everything but the log. False when another node is at it. */
  async #clean({
    asOf,
    remove,
    forgetReleasedMs,
    producerIdleMs,
    keepMs,
    maxLogBytes,
  }: MaintenanceRequest): Promise<boolean> {
    const t = this.names;
    const [row] = await this.#connection.queryReadCommitted(
      `with turn as materialized (${TURN(t)}),
      removed as (delete from ${t.node} n using unnest($2::text[], $3::text[]) as r (id, beat), turn
        where n.ns = $1 and n.id = r.id and ${BEAT} = r.beat returning n.id),
      orphaned as (update ${t.claims} c set ${LOSES} from removed r where c.ns = $1 and c.node = r.id and c.detach is null),
      expired as (delete from ${t.claims} c using turn where c.ns = $1 and ${isExpired('c', '$4', '$9')} and c.id = any(array(
        select x.id from ${t.claims} x where x.ns = $1 and ${isExpired('x', '$4', '$9')} limit ${STEP}))),
      idle as (delete from ${t.producer} p using turn where p.ns = $1 and (p.node in (select id from removed)
        or ${isOlder('p.at', '$5', '$9')} and not exists (select from ${t.node} n where n.ns = $1 and n.id = p.node))),
      unused as (delete from ${t.large} g using turn where g.ns = $1 and g.id = any(array(
        select x.id from ${t.large} x where x.ns = $1 and ${isOlder('x.at', '$6', '$9')} and x.at < coalesce((
            select l.at from ${t.log} l, ${t.head} h where h.ns = $1 and l.ns = $1 and l.last > h.trimmed
            order by l.last limit 1), 'infinity') - $6 * interval '1 millisecond' limit ${LARGE_STEP}))),
      excess as (delete from ${t.large} g using turn where g.ns = $1 and g.id = any(array(
        select x.id from (select id, at, row_number() over w as n, sum(octet_length(body)) over w as kept from ${t.large}
          where ns = $1 window w as (order by at desc, id)) x where x.n > 1 and x.kept > $7 and ${isOlder('x.at', '$8', '$9')} limit ${LARGE_STEP})))
      select 1, set_config('synchronous_commit', 'off', true) from turn`,
      [
        this.#namespace,
        remove.map(({ node }) => node),
        remove.map(({ beat }) => beat),
        forgetReleasedMs,
        producerIdleMs,
        keepMs,
        maxLogBytes,
        this.#connection.callTimeoutMs * 4,
        asOf,
      ],
    );
    return row !== undefined;
  }

  /** @returns how many nodes were overtaken */
  async #trim(request: MaintenanceRequest): Promise<number> {
    const until = performance.now() + BUDGET_MS;
    let overtaken = 0;
    let more = true;
    while (more && performance.now() < until) {
      const announced = await this.#announce(request);
      if (!announced) break;
      overtaken += announced.overtaken;
      more = (await this.#delete(announced.trimmed)) === STEP;
    }
    return overtaken;
  }

  /**
   * By age strictly below the lowest cursor, so that every node still finds the part at its own; by size regardless.
   * The newest part always stays. Answers how far the log is trimmed now.
   */
  async #announce({ asOf, keepMs, maxLogBytes }: MaintenanceRequest): Promise<Announcement | undefined> {
    const t = this.names;
    const [row] = await this.#connection.queryReadCommitted(
      `with turn as materialized (${TURN(t)}),
      h as (select h.pos, h.bytes, h.trimmed from ${t.head} h, turn where h.ns = $1),
      stays as (select (select x.last from (
          select l.last, l.last < h.pos and (
              l.bytes - octet_length(l.head) - octet_length(l.data) < h.bytes - $3 or ${isOlder('l.at', '$2', '$4')}
              and l.last < (select coalesce(min(n.cursor), h.pos) from ${t.node} n where n.ns = $1)) as goes
          from ${t.log} l where l.ns = $1 and l.last > h.trimmed order by l.last limit ${STEP}) x
        where not x.goes order by x.last limit 1) as first from h),
      bound as (select h.trimmed as before, coalesce(case
          when s.first is null then (select max(x.last) from (
            select l.last from ${t.log} l where l.ns = $1 and l.last > h.trimmed order by l.last limit ${STEP}) x)
          else (select max(l.last) from ${t.log} l where l.ns = $1 and l.last > h.trimmed and l.last < s.first)
        end, h.trimmed) as trimmed from h, stays s),
      announced as (update ${t.head} h set trimmed = b.trimmed from bound b where h.ns = $1 and h.trimmed < b.trimmed)
      select b.trimmed,
        (select count(*) from ${t.node} n where n.ns = $1 and n.cursor < b.trimmed and n.cursor >= b.before),
        set_config('synchronous_commit', 'off', true)
      from bound b`,
      [this.#namespace, keepMs, maxLogBytes, asOf],
    );
    return row && { trimmed: Number(row[0]), overtaken: Number(row[1]) };
  }

  async #delete(trimmed: number): Promise<number> {
    const { log } = this.names;
    if (trimmed < this.#deletedUpTo) this.#deletedUpTo = 0; // The log began anew.
    const [row] = await this.#connection.queryReadCommitted(
      `with gone as (delete from ${log} where ns = $1 and last = any(array(select last from ${log}
        where ns = $1 and last > $2 and last <= $3 order by last limit ${STEP})) returning last)
      select count(*), max(last), set_config('synchronous_commit', 'off', true) from gone`,
      [this.#namespace, this.#deletedUpTo, trimmed],
    );
    const count = Number(row?.[0] ?? 0);
    this.#deletedUpTo = count === STEP ? Number(row?.[1]) : trimmed;
    return count;
  }
}

type Announcement = { readonly trimmed: number; readonly overtaken: number };

/** Opaque to others, exact to the microsecond, the same in every time zone. */
const BEAT = '(extract(epoch from n.beat) * 1000000)::bigint::text';

/** One row while this node may clean, none while another does. */
const TURN = (t: StreamNames): string =>
  `select from (select pg_try_advisory_xact_lock(${literal(t.log)}::regclass::oid::int4, hashtext($1)) as mine) l
    where mine`;

/** Both parameters in milliseconds. */
function isOlder(column: string, age: string, asOf: string): string {
  return `${column} < ${before(age, asOf)}`;
}

function isExpired(claim: string, age: string, asOf: string): string {
  return `${claim}.detach is not null and ${claim}.updated_at < ${before(age, asOf)} at time zone 'UTC'`;
}

function before(age: string, asOf: string): string {
  return `(to_timestamp(${asOf}::float8 / 1000) - ${age} * interval '1 millisecond')`;
}
