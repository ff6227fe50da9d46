import { LOST, SessionError } from '@tmcp/session-manager';

/** PostgreSQL cuts names at 63 bytes without a word; what we append to a table's name has to fit as well. */
export const MAX_TABLE_NAME_BYTES = 40;

/** Qualified, quoted names of everything that holds streams. */
export type StreamNames = {
  readonly claims: string;
  readonly head: string;
  readonly log: string;
  readonly node: string;
  readonly producer: string;
  readonly large: string;
  readonly mark: string;
  readonly migrations: string;
  readonly append: string;
  /** Quoted, but not qualified: indexes stand in the schema of their table. */
  readonly index: (suffix: string) => string;
};

export function streamNames(schema: string, tableName: string): StreamNames {
  const name = (suffix: string): string => qualified(schema, tableName + suffix);
  return {
    claims: name(''),
    head: name('_head'),
    log: name('_log'),
    node: name('_node'),
    producer: name('_producer'),
    large: name('_large'),
    mark: name('_mark'),
    migrations: name('_migrations'),
    append: name('_append'),
    index: (suffix) => quoted(tableName + suffix),
  };
}

/** Assignments that release a claim without knowing where its session's next stream should go on. */
export const LOSES: string = `detach = ${LOST}, sent = ${LOST}, updated_at = clock_timestamp() at time zone 'UTC'`;

/** An identifier, whatever its characters. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualified(schema: string, name: string): string {
  // Function bodies stand between dollar signs.
  if (`${schema}${name}`.includes('$')) {
    throw new SessionError('invalid-option', 'names of schemas and tables must not hold a dollar sign');
  }
  return `${quoted(schema)}.${quoted(name)}`;
}

/** A text constant, whatever its characters and the server's `standard_conforming_strings`. */
export function literal(text: string): string {
  return `${text.includes('\\') ? ' E' : ''}'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

type ObjectQuery = (text: string, values: readonly unknown[]) => Promise<readonly unknown[]>;

/**
 * The schema that all statements name. The search path is asked once, so that roles and connections with different
 * paths cannot end up in different tables: it finds the tables where they are, else says where new ones would go.
 *
 * @param tables the tables to look for, in this order
 */
export async function findSchema(query: ObjectQuery, tables: readonly string[]): Promise<string> {
  const [row] = await query(
    `select coalesce((select n.nspname::text from unnest($1::text[]) with ordinality as t (name, i)
        join pg_catalog.pg_class c on c.oid = to_regclass(t.name) join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        order by t.i limit 1), current_schema()::text) as schema`,
    [tables.map(quoted)],
  );
  const schema = firstValue(row);
  if (schema !== undefined) return schema;
  throw new SessionError(
    'schema-missing',
    'the search path of the PostgreSQL role names no schema to create tables in; give it one or set "schema"',
  );
}

/** The first column, whether rows come as arrays or as objects. */
export function firstValue(row: unknown): string | undefined {
  const value: unknown = typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
  return value === null || value === undefined ? undefined : String(value);
}
