import { variable } from './environment.ts';
import { SessionStoreError } from './errors.ts';
import { redactText } from './redact.ts';
import { configError } from './session-errors.ts';
import type { MigrationClient } from './sql/migrations/migrate.ts';
import { adviceFor } from './start-failure.ts';

/** The first one that is set is taken. */
const VARIABLES = ['NEON_DATABASE_URL', 'DATABASE_URL'] as const;
const FORM = 'postgresql://user:password@host:5432/database, with special characters encoded (@ is %40)';
/** Of PostgreSQL: the server was reached, and does not let us in. */
const REFUSED = /^(28|3D)/;
const NO_RIGHT = '42501';

/**
 * Connects to the database that the environment names, for as long as `use` takes.
 *
 * @throws SessionStoreError `config` that names the variable, and what to do about it; it shows nothing of its value
 */
export async function withClient<T>(use: (client: MigrationClient) => Promise<T>): Promise<T> {
  const name = VARIABLES.find((each) => variable(each) !== undefined);
  if (name === undefined) {
    throw configError(`Set NEON_DATABASE_URL or DATABASE_URL to a direct connection string: ${FORM}`);
  }
  const { default: pg } = await import('pg').catch((cause: unknown) => {
    throw configError('The command line needs the package pg: npm install pg', cause);
  });
  const client = makeClient(pg.Client, name, variable(name) ?? '');
  // The statement that runs rejects with the same error.
  client.on('error', () => {});
  try {
    await client.connect().catch((error: unknown) => {
      throw configError(`The database in ${name} cannot be used: ${reasonOf(error)}`, error);
    });
    return await use(client as MigrationClient);
  } finally {
    await client.end();
  }
}

/** What a command failed with. Our own words are shown in full, those of drivers without what they quote. */
export function textOf(error: unknown): string {
  if (SessionStoreError.is(error)) return error.message;
  const text = error instanceof Error ? redactText(error.message) : '';
  const remedy = codeOf(error) === NO_RIGHT ? ': run it as the owner of the table, or as an administrator' : '';
  return `${text || 'It failed, and did not say why'}${remedy}`;
}

type PgClient = typeof import('pg').Client;

function makeClient(Client: PgClient, name: string, connectionString: string): InstanceType<PgClient> {
  try {
    // The driver takes any text for the name of a database on this machine.
    if (/^postgres(ql)?:$/.test(new URL(connectionString).protocol)) {
      return new Client({ connectionString, connectionTimeoutMillis: 10_000 });
    }
  } catch {
    // What is thrown quotes the string, so it is not kept.
  }
  throw configError(`${name} is not a valid postgresql URL: write ${FORM}`);
}

function reasonOf(error: unknown): string {
  // Of a name with several addresses, none of which answers: the one error around the others has no text.
  const [first = error] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const advice = adviceFor(codeOf(first));
  if (advice !== undefined) return advice;
  const text = first instanceof Error ? redactText(first.message) : '';
  return REFUSED.test(codeOf(first) ?? '') ? `${text}: check user, password and database` : text || 'no answer came';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
