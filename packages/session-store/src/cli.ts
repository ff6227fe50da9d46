#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { textOf, withClient } from './cli-client.ts';
import { configError } from './session-errors.ts';
import { type MigrationClient, migrate, migrationStatus } from './sql/migrations/migrate.ts';
import { migrationsFor } from './sql/migrations/migrations.ts';
import { type TableNames, tableNames } from './sql/names.ts';

const USAGE = `The table of the session store in PostgreSQL or Neon.

  npx tmcp-session-store sql       prints the migrations; run them as owner or admin, for example with psql
  npx tmcp-session-store status    says which migrations were applied, and what is missing
  npx tmcp-session-store migrate   applies those that are missing, in one transaction

  --cron             also the optional one: pg_cron removes expired sessions
  --schema <name>    schema of the table (public)
  --table <name>     the table (mcp_sessions)

"status" and "migrate" need the package pg, and a direct connection string, not that of a pooler, in
NEON_DATABASE_URL or DATABASE_URL: on the command line others could read its password.`;

type Flags = { readonly names: TableNames; readonly cron: boolean };

async function run(): Promise<string> {
  const { values, positionals } = readArguments();
  if (values.help) return USAGE;
  const flags: Flags = { names: tableNames(values.schema, values.table), cron: values.cron };
  const [command, ...more] = positionals;
  if (more.length === 0 && command === 'sql') return printSql(flags);
  if (more.length === 0 && command === 'status') return withClient((client) => printStatus(client, flags));
  if (more.length === 0 && command === 'migrate') return withClient((client) => applyMissing(client, flags));
  throw configError(`The command is sql, status or migrate\n\n${USAGE}`);
}

const OPTIONS = {
  cron: { type: 'boolean', default: false },
  schema: { type: 'string' },
  table: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function readArguments(): ReturnType<typeof parseArgs<{ allowPositionals: true; options: typeof OPTIONS }>> {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS });
  } catch {
    // What it says quotes what was typed.
    throw configError(`An option is not known, or lacks its value\n\n${USAGE}`);
  }
}

function printSql({ names, cron }: Flags): string {
  return migrationsFor(names, cron)
    .map(({ name, sql }) => `-- ${name}\n${sql}`)
    .join('\n');
}

async function printStatus(client: MigrationClient, flags: Flags): Promise<string> {
  const { migrations, problem } = await migrationStatus(client, flags);
  // Whoever runs it in a script wants to know without reading.
  if (problem !== undefined) process.exitCode = 1;
  const lines = migrations.map(
    ({ name, state, optional }) => `${state.padEnd(8)} ${name}${optional ? ' (optional)' : ''}`,
  );
  return [...lines, problem ?? 'The table is ready'].join('\n');
}

async function applyMissing(client: MigrationClient, flags: Flags): Promise<string> {
  const ran = await migrate(client, flags);
  return ran.length === 0 ? 'Nothing to do' : ran.map((name) => `applied  ${name}`).join('\n');
}

try {
  console.log(await run());
} catch (error) {
  console.error(textOf(error));
  process.exitCode = 1;
}
