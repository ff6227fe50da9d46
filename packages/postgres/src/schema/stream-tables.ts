import { literal, type StreamNames } from './names.ts';

/**
 * Tables of the log, the claims and the beats. `ns` is the namespace everywhere; positions count operations from 1.
 *
 * - head: one narrow row per namespace. Every append locks and advances it, and holds the lock until it is committed:
 *   positions have no holes and rise in commit order. It is updated all the time, hence the empty space in its page.
 * - log: one row per part of a batch. `bytes` adds up over the whole log, so that pages and trimming are ranges.
 *   Payloads are neither compressed nor looked at: that would happen while the head is locked.
 * - claims (the documented `tmcp_sessions`): which node holds a session's stream. `floor` is the position of the first
 *   claim, `at` of this one, `origin` where this stream had to start at the earliest, which the release of the claim
 *   that it took over from (`prior`) makes exact; `detach` and `sent` are set when it is released. `updated_at` is UTC.
 * - producer: the last batch of an outbox and the answer it got, so that a retry gets the same one.
 * - mark: unlogged, so a row that is missing says that the server crashed or that a standby took over.
 */
export function createStreamTables(t: StreamNames): string {
  return `
create table if not exists ${t.head} (
  ns text primary key, epoch text not null, pos bigint not null, bytes bigint not null, trimmed bigint not null,
  channel text not null, lossy_on_crash boolean not null default false, lossy_on_failover boolean not null default false,
  server text
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table if not exists ${t.log} (
  ns text not null, last bigint not null, n int not null, tok text not null, bytes bigint not null,
  at timestamptz not null, head text not null, data text not null, primary key (ns, last)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000);
alter table ${t.log} alter head set storage main, alter data set storage external;

create table if not exists ${t.node} (
  ns text not null, id text not null, beat timestamptz not null, cursor bigint not null, lock_key int,
  primary key (ns, id)
) with (fillfactor = 50);

create table if not exists ${t.producer} (
  ns text not null, id text not null, node text not null, batch bigint not null, last bigint not null,
  gap boolean not null, claims text, at timestamptz not null, primary key (ns, id)
) with (fillfactor = 50);

create table if not exists ${t.large} (
  ns text not null, id text not null, body text not null, at timestamptz not null, primary key (ns, id)
);
alter table ${t.large} alter body set storage external;
create index if not exists ${t.index('_large_at')} on ${t.large} (ns, at);

create unlogged table if not exists ${t.mark} (ns text primary key);
${createClaims(t)}`;
}

/**
 * The table of version 0.3.0 has the two documented columns and `id` alone as its key. Its rows live for ten seconds
 * and say nothing that the new columns need, so they go. There, `tableName` of the subscription manager named a table
 * of notifications on their way: such a one gets the same columns.
 */
function createClaims(t: StreamNames): string {
  return `
create table if not exists ${t.claims} (id text not null, updated_at timestamp default now());
if not exists (select from pg_catalog.pg_attribute where attrelid = ${literal(t.claims)}::regclass and attname = 'ns' and not attisdropped) then
  delete from ${t.claims};
  execute coalesce((select format('alter table %s drop constraint %I', conrelid::regclass, conname)
    from pg_catalog.pg_constraint where conrelid = ${literal(t.claims)}::regclass and contype = 'p'), 'select');
  alter table ${t.claims} drop column if exists value, drop column if exists created_at,
    add column if not exists updated_at timestamp default now(), add ns text not null, add claim text not null,
    add node text not null, add floor bigint not null, add at bigint not null, add prior text, add origin bigint,
    add detach bigint, add sent bigint, add primary key (ns, id);
end if;
create index if not exists ${t.index('_held_by')} on ${t.claims} (ns, node);
create index if not exists ${t.index('_released')} on ${t.claims} (ns, updated_at) where detach is not null;`;
}
