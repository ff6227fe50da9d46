import { type BackendOptions, type BackendSettings, backendRules, type DriverContext } from '../backend-options.ts';
import { type OptionRule, type OptionsOf, option, readOptions } from '../options.ts';
import { tableNames } from './names.ts';
import type { SqlConnection } from './sql-client.ts';
import { SqlSessionDriver } from './sql-session-driver.ts';

/** Options of the backends on PostgreSQL, beside those of every backend. */
export type SqlBackendOptions<Client> = BackendOptions & {
  /** Schema of the table: letters, digits and underscores. @default 'public' */
  readonly schema?: string | undefined;
  /** The table: letters, digits and underscores. @default 'mcp_sessions' */
  readonly table?: string | undefined;
  /**
   * `'tenant'`: row-level security of the database separates users. Every operation then tells it in a transaction whose
   * rows it may see; see the policy at the end of migration 2.
   * @default 'off'
   */
  readonly rls?: 'off' | 'tenant' | undefined;
  /** With `rls: 'tenant'`: a second client whose role sees all rows, for `listAllIds`, `clearAll`, `sweep` and `rekey`. */
  readonly admin?: Client | undefined;
};

type SqlRules = typeof backendRules & {
  readonly schema: OptionRule<string>;
  readonly table: OptionRule<string>;
  readonly rls: OptionRule<'off' | 'tenant'>;
  readonly admin: OptionRule<unknown>;
};

const sqlRules: SqlRules = {
  ...backendRules,
  schema: option.text('public'),
  table: option.text('mcp_sessions'),
  rls: option.oneOf(['off', 'tenant'], 'off'),
  admin: option.value<unknown>('a client', isClient),
};

/** A function, or an object with `query`. */
export function isClient(value: unknown): boolean {
  if (typeof value === 'function') return true;
  return typeof value === 'object' && value !== null && typeof (value as { query?: unknown }).query === 'function';
}

/** What `SessionRepository` is made with. */
export function sqlBackend<Client>(
  backend: string,
  client: Client,
  options: SqlBackendOptions<Client>,
  connect: (client: Client) => SqlConnection,
): { settings: BackendSettings; makeDriver: (context: DriverContext) => SqlSessionDriver } {
  const { schema, table, rls, admin, ...settings }: OptionsOf<SqlRules> = readOptions(options, sqlRules);
  const sql = {
    backend,
    names: tableNames(schema, table),
    connection: connect(client),
    tenants: rls === 'tenant',
    admin: admin === undefined ? undefined : connect(admin as Client),
  };
  return { settings, makeDriver: (context) => new SqlSessionDriver(sql, context) };
}
