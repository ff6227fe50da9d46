import type { SessionStoreError } from '../../errors.ts';
import { redactText } from '../../redact.ts';
import { configError } from '../../session-errors.ts';
import type { TableNames } from '../names.ts';
import { schemaProblem, schemaStatement } from '../schema-check.ts';
import type { Row, Statement } from '../statement.ts';
import { type Migration, migrationsFor } from './migrations.ts';

/** A connection for itself: not behind a transaction pooler. */
export type MigrationClient = {
  /** Several statements at once where there are no values. */
  query(text: string, values?: (string | null)[]): Promise<{ rows: Row[] }>;
};

export type MigrationState = {
  readonly name: string;
  readonly optional: boolean;
  /** `changed`: it was applied with another text than this package has. */
  readonly state: 'applied' | 'changed' | 'missing';
};

export type MigrateOptions = { readonly names: TableNames; readonly cron: boolean };

/** What was applied, as far as `mcp_schema_migrations` knows, and what `init()` would say. */
export async function migrationStatus(
  client: MigrationClient,
  { names }: MigrateOptions,
): Promise<{ migrations: MigrationState[]; problem: string | undefined }> {
  const applied = (await hasLedger(client, names)) ? await appliedChecksums(client, names) : new Map<string, string>();
  const migrations: MigrationState[] = [];
  for (const { name, sql, optional } of migrationsFor(names, true)) {
    const known = applied.get(name);
    const state = known === undefined ? 'missing' : known === (await checksum(sql)) ? 'applied' : 'changed';
    migrations.push({ name, optional, state });
  }
  return { migrations, problem: (await findProblem(client, names))?.message };
}

/**
 * Applies what is missing, in one transaction: all or nothing, one process at a time. A table that is not as it has to
 * be although everything was applied gets all migrations again, which repairs what others have changed.
 *
 * @returns the names of the migrations that ran
 */
export async function migrate(client: MigrationClient, options: MigrateOptions): Promise<string[]> {
  const { names, cron } = options;
  const wanted = migrationsFor(names, cron);
  // Whatever the default of the database: after waiting for the lock, what the holder did has to be seen.
  await client.query('begin isolation level read committed');
  try {
    // Until the end of the transaction: those that come at the same time find everything done.
    await run(client, {
      text: 'select pg_advisory_xact_lock(hashtextextended($1::text, 0))',
      values: [`mcp_schema_migrations ${names.sql}`],
    });
    await client.query(`create table if not exists ${ledger(names)} (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`);
    const ran = await applyMissing(client, names, wanted);
    const problem = await findProblem(client, names);
    if (problem !== undefined) {
      await applyAll(client, names, wanted);
      const remaining = await findProblem(client, names);
      if (remaining !== undefined) throw remaining;
      ran.splice(0, ran.length, ...wanted.map(({ name }) => name));
    }
    await client.query('commit');
    return ran;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function applyMissing(client: MigrationClient, names: TableNames, wanted: Migration[]): Promise<string[]> {
  const applied = await appliedChecksums(client, names);
  for (const { name, sql } of wanted) {
    const known = applied.get(name);
    if (known !== undefined && known !== (await checksum(sql))) {
      throw new Error(
        `${name} was applied with another text than this version of the package has; nothing was changed`,
      );
    }
  }
  const missing = wanted.filter(({ name }) => !applied.has(name));
  // A table made by hand may have the second one without our knowing: then the first brings its old trigger back.
  const from = missing[0] === undefined ? wanted.length : wanted.indexOf(missing[0]);
  const runs = wanted.slice(from).filter((migration) => missing.includes(migration) || !migration.optional);
  await applyAll(client, names, runs);
  return runs.map(({ name }) => name);
}

async function applyAll(client: MigrationClient, names: TableNames, migrations: readonly Migration[]): Promise<void> {
  for (const { name, sql, optional } of migrations) {
    await client.query(withoutTransaction(sql)).catch((error: unknown) => {
      throw optional ? cronFailure(error) : error;
    });
    await run(client, {
      text: `insert into ${ledger(names)} (name, checksum) values ($1::text, $2::text)
        on conflict (name) do update set checksum = excluded.checksum, applied_at = now()`,
      values: [name, await checksum(sql)],
    });
  }
}

/** What the server says names a parameter or a file that nobody has heard of who only wanted a clean-up. */
function cronFailure(error: unknown): SessionStoreError {
  const said = error instanceof Error ? redactText(error.message) : typeof error;
  return configError(
    `pg_cron cannot be set up (${said}): install it as an administrator, with shared_preload_libraries = 'pg_cron' and ` +
      'cron.database_name = this database; nothing was changed',
    error,
  );
}

/** Its own `COMMIT` would end ours, and the lock with it. */
function withoutTransaction(sql: string): string {
  return sql.replaceAll(/^(BEGIN|COMMIT);$/gm, '');
}

async function findProblem(client: MigrationClient, names: TableNames): Promise<Error | undefined> {
  const [row] = await run(client, schemaStatement(names));
  return schemaProblem(row ?? {}, names);
}

/** Beside the table, so that tables in two schemas do not share it. */
function ledger({ schema, table }: TableNames): string {
  return table === 'mcp_sessions' ? `"${schema}".mcp_schema_migrations` : `"${schema}"."${table}_schema_migrations"`;
}

async function hasLedger(client: MigrationClient, names: TableNames): Promise<boolean> {
  const [row] = await run(client, {
    text: 'select to_regclass($1::text)::text as ledger',
    values: [ledger(names)],
  });
  return typeof row?.ledger === 'string';
}

async function appliedChecksums(client: MigrationClient, names: TableNames): Promise<Map<string, string>> {
  const { rows } = await client.query(`select name, checksum from ${ledger(names)}`);
  return new Map(rows.map(({ name, checksum }) => [String(name), String(checksum)]));
}

async function run(client: MigrationClient, { text, values }: Statement): Promise<Row[]> {
  const { rows } = await client.query(text, [...values]);
  return rows;
}

/** SHA-256 of the text. */
async function checksum(sql: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(sql));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
