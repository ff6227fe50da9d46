import { invalidOption, type OptionRule, option, readOptions, requireOneOf, SessionError } from '@tmcp/session-manager';
import { createClient, createPool, type DriverPool, type PostgresPool } from './driver.ts';
import { MAX_TABLE_NAME_BYTES } from './schema/names.ts';

/** How to reach PostgreSQL, and where our tables stand. */
export type PostgresConnectionOptions = {
  /**
   * `postgres://user:password@host:5432/database`, with the TLS parameters of `pg` (`sslmode`, `sslrootcert`, ...).
   * Either this or `pool`.
   */
  readonly connectionString?: string | undefined;
  /**
   * A `Pool` of `pg` that the application has. It is never ended by us; one further connection, which listens, is made
   * with the options of the pool. Either this or `connectionString`.
   */
  readonly pool?: PostgresPool | undefined;
  /**
   * Where the one listening connection goes, if that must be elsewhere: transaction poolers (PgBouncer, Neon's
   * `-pooler` hosts, Supabase's port 6543) do not deliver notifications.
   * @default where `connectionString` or `pool` connects to
   */
  readonly listenConnectionString?: string | undefined;
  /**
   * Name of the sessions table, and beginning of the names of the tables beside it. At most 40 bytes of letters,
   * digits, `_` and `-`; upper and lower case differ.
   * @default 'tmcp_sessions'
   */
  readonly tableName?: string | undefined;
  /**
   * Schema of the tables.
   * @default where the search path finds them, else its first schema
   */
  readonly schema?: string | undefined;
  /**
   * Whether missing tables are created. If not, apply the output of `npx tmcp-sessions-postgres sql`.
   * @default true
   */
  readonly create?: boolean | undefined;
  /**
   * Most connections of the pool that is made from `connectionString`.
   * Only with `connectionString`.
   * @default 10
   */
  readonly maxConnections?: number | undefined;
  /**
   * Deadline of each call to the server. What must not get lost is tried again after it, on another connection.
   * @default 5_000
   */
  readonly callTimeoutMs?: number | undefined;
};

export type ConnectionRules = {
  readonly connectionString: OptionRule<string | undefined>;
  readonly pool: OptionRule<PostgresPool | undefined>;
  readonly listenConnectionString: OptionRule<string | undefined>;
  readonly tableName: OptionRule<string>;
  readonly schema: OptionRule<string | undefined>;
  readonly create: OptionRule<boolean>;
  readonly maxConnections: OptionRule<number | undefined>;
  readonly callTimeoutMs: OptionRule<number>;
};

/** For `readOptions`: managers spread these beside their own. */
export const connectionRules: ConnectionRules = {
  connectionString: option.text(),
  pool: option.having<PostgresPool>('connect', 'on', 'removeListener'),
  listenConnectionString: option.text(),
  tableName: tableNameRule('tmcp_sessions'),
  schema: { ...tableNameRule('', 63), fallback: undefined },
  create: option.boolean(true),
  maxConnections: { ...option.integer(10, { min: 1, max: 10_000 }), fallback: undefined },
  callTimeoutMs: option.durationMs(5_000),
};

export type ConnectionSettings = {
  readonly pool: DriverPool;
  readonly ownsPool: boolean;
  readonly listenConnectionString: string | undefined;
  readonly tableName: string;
  readonly schema: string | undefined;
  readonly create: boolean;
  readonly callTimeoutMs: number;
};

/** @throws SessionError `invalid-option` */
export function readConnectionOptions(owner: string, options: PostgresConnectionOptions): ConnectionSettings {
  const { pool, connectionString, maxConnections, ...read } = readOptions(owner, options, connectionRules);
  requireOneOf(owner, { connectionString, pool }, ['connectionString', 'pool']);
  if (read.listenConnectionString !== undefined) {
    checkConnectionString(owner, 'listenConnectionString', read.listenConnectionString);
  }
  if (pool !== undefined) {
    if (maxConnections !== undefined) throw invalidOption(owner, '"maxConnections" needs "connectionString"');
    return { ...read, pool: pool as unknown as DriverPool, ownsPool: false };
  }
  const checked = checkConnectionString(owner, 'connectionString', connectionString);
  return {
    ...read,
    pool: createPool(checked, maxConnections ?? 10, read.callTimeoutMs),
    ownsPool: true,
    listenConnectionString: read.listenConnectionString ?? checked,
  };
}

/** Names are quoted, but what reads like a qualified or folded name would not do what its author meant. */
export function tableNameRule(fallback: string, maxBytes: number = MAX_TABLE_NAME_BYTES): OptionRule<string> {
  return {
    expects: `1 to ${maxBytes} bytes of letters, digits, "_" and "-"`,
    accepts: (value) =>
      typeof value === 'string' && /^[\p{L}\p{N}_-]+$/u.test(value) && Buffer.byteLength(value) <= maxBytes,
    fallback,
  };
}

/** What the driver thinks of it, without ever showing it: it holds a password. */
export function checkConnectionString(owner: string, name: string, value: string | undefined): string {
  if (value === undefined || !/^(postgres(ql)?|socket):|^\//.test(value)) {
    throw invalidOption(owner, `option "${name}" must look like postgres://user:password@host:5432/database`);
  }
  try {
    createClient(value, 1);
  } catch (cause) {
    throw new SessionError('invalid-option', `${owner}: option "${name}" cannot be read by the driver`, { cause });
  }
  return value;
}
