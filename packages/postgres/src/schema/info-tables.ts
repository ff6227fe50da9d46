import type { InfoNames } from './info-names.ts';
import { literal } from './names.ts';

/**
 * Tables of session info. `ns` is the namespace everywhere, `at` when a value was set by the clock of the server: the
 * arrival of the statement less its age.
 *
 * - The documented tables keep `id` and `value`: JSON as text (not `jsonb`, which refuses NUL), or a URI. A URI can be
 *   longer than an index entry may be, so its SHA-256 is in the key; the text is compared as well.
 * - lifetimes: one row per session, known or deleted. `written_at` is the latest `at` of what it said, `ended_at` its
 *   last deletion: what was set before that is void, whether or not it was removed yet. The row goes at `expires_at`.
 *
 * Tables of version 0.3.0 have `id` alone as their key, and so one URI per session. They get the new columns and key;
 * their sessions count as used now.
 */
export function createInfoTables(t: InfoNames): string {
  const values = [t.clientCapabilities, t.clientInfo, t.logLevel];
  return `
${values.map(createValues).join('\n')}
${createSubscriptions(t)}
create table if not exists ${t.lifetimes} (
  ns text not null, id text not null, written_at timestamptz not null,
  ended_at timestamptz not null default '-infinity', expires_at timestamptz not null, primary key (ns, id)
);
create index if not exists ${t.lifetimesByExpiry} on ${t.lifetimes} (expires_at);
insert into ${t.lifetimes} (ns, id, written_at, expires_at)
  select ns, id, now(), now() + interval '7 days'
    from (${[...values, t.subscriptions].map((table) => `select ns, id from ${table}`).join(' union ')}) as known
  on conflict do nothing;`;
}

function createValues(table: string): string {
  return `
create table if not exists ${table} (id text not null, value text);
if ${lacksNamespace(table)} then
  ${dropPrimaryKey(table)}
  alter table ${table} add ns text not null default 'default', add at timestamptz not null default now(),
    add primary key (ns, id);
end if;`;
}

function createSubscriptions({ subscriptions: table, subscriptionsOfSession }: InfoNames): string {
  return `
create table if not exists ${table} (id text not null, value text);
if ${lacksNamespace(table)} then
  ${dropPrimaryKey(table)}
  alter table ${table} add ns text not null default 'default', add at timestamptz not null default now(),
    add hash bytea;
  delete from ${table} where value is null;
  update ${table} set hash = sha256(convert_to(value, 'UTF8'));
  alter table ${table} alter hash set not null, alter value set not null, add primary key (ns, hash, id);
end if;
create index if not exists ${subscriptionsOfSession} on ${table} (ns, id);`;
}

function lacksNamespace(table: string): string {
  return `not exists (select from pg_catalog.pg_attribute
    where attrelid = ${literal(table)}::regclass and attname = 'ns' and not attisdropped)`;
}

function dropPrimaryKey(table: string): string {
  return `execute coalesce((select format('alter table %s drop constraint %I', conrelid::regclass, conname)
    from pg_catalog.pg_constraint where conrelid = ${literal(table)}::regclass and contype = 'p'), 'select');`;
}
