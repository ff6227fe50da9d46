import { SessionError } from '@tmcp/session-manager';
import { isSchemaMissing, isSerializationFailure, sqlState, toSessionError } from '../errors.ts';
import { firstValue, literal } from './names.ts';

/**
 * A step of a schema. Its SQL is PL/pgSQL statements that change nothing when they are run again. Steps that were
 * published are never changed: what comes later is a new step, and must leave older processes working.
 */
export type Migration<Names> = {
  /** Rises by one with every step, from 1. */
  readonly id: number;
  readonly sql: (names: Names) => string;
};

/** Runs one statement; rows may be arrays or objects. */
export type SchemaQuery = (text: string, values?: readonly unknown[]) => Promise<readonly unknown[]>;

/** Duplicate key, column, object, table; second primary key. */
const ALREADY_THERE: ReadonlySet<string> = new Set(['23505', '42701', '42710', '42P07', '42P16']);

/** Locks of this class are held while a schema is changed. */
const LOCK_CLASS = 0x746d6370;

/**
 * Brings a schema up to date, by one process at a time. When nothing is missing this is one read, so that a role
 * without the right to create tables can use what another role has created.
 *
 * @throws SessionError `schema-missing` when a step is missing and `create` is off or the role may not create
 */
export async function migrate<Names extends { readonly migrations: string }>(
  query: SchemaQuery,
  migrations: readonly Migration<Names>[],
  names: Names,
  create: boolean,
): Promise<void> {
  for (let attempt = 1; await isIncomplete(query, migrations, names); attempt += 1) {
    if (!create) throw missing('"create" is off', undefined);
    try {
      await query(migrationSql(migrations, names));
      return;
    } catch (error) {
      if (sqlState(error) === '42501') throw missing('the role may not create them', error);
      // Under REPEATABLE READ it cannot see what another process did while it waited for its turn.
      const collided = isSerializationFailure(error) || ALREADY_THERE.has(sqlState(error) ?? '');
      if (!collided || attempt >= 5) throw toSessionError(error);
    }
  }
}

/**
 * The whole schema as one statement, which is what `create` runs and what the command line prints: it waits for its
 * turn, skips what was done before and applies the rest, all or nothing. One statement needs no session and no
 * transaction around it, so it works through poolers and over HTTP.
 */
export function migrationSql<Names extends { readonly migrations: string }>(
  migrations: readonly Migration<Names>[],
  names: Names,
): string {
  const steps = migrations.map(
    ({ id, sql }) => `
  if not exists (select from ${names.migrations} where id = ${id}) then
${indented(sql(names))}
    insert into ${names.migrations} (id) values (${id}) on conflict do nothing;
  end if;`,
  );
  return `do $tmcp$
begin
  perform pg_advisory_xact_lock(${LOCK_CLASS}, hashtext(${literal(names.migrations)}));
  create table if not exists ${names.migrations} (id int primary key, applied_at timestamptz not null default now());
${steps.join('\n')}
end $tmcp$`;
}

async function isIncomplete<Names extends { readonly migrations: string }>(
  query: SchemaQuery,
  migrations: readonly Migration<Names>[],
  names: Names,
): Promise<boolean> {
  const ids = migrations.map(({ id }) => id).join(', ');
  try {
    const [row] = await query(`select count(*) from ${names.migrations} where id in (${ids})`);
    return Number(firstValue(row)) < migrations.length;
  } catch (error) {
    if (isSchemaMissing(error)) return true;
    throw toSessionError(error);
  }
}

function missing(why: string, cause: unknown): SessionError {
  return new SessionError(
    'schema-missing',
    `tables of the session managers are missing or outdated, and ${why}; apply the output of ` +
      '"npx tmcp-sessions-postgres sql" to the database',
    cause === undefined ? undefined : { cause },
  );
}

function indented(sql: string): string {
  return sql
    .trim()
    .split('\n')
    .map((line) => (line === '' ? line : `    ${line}`))
    .join('\n');
}
