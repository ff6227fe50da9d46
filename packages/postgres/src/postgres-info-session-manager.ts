import {
  guardErrorHandler,
  type InfoTtlOption,
  infoTtlRule,
  invalidOption,
  option,
  readOptions,
  requireOneOf,
  type StoredInfoOptions,
  StoredInfoSessionManager,
  storedInfoRules,
} from '@tmcp/session-manager';
import { createPool, type DriverPool } from './driver.ts';
import { callsOfPool, callsOfQueryable, type InfoCalls, type PostgresQueryable } from './info-calls.ts';
import { checkConnectionString, connectionRules, tableNameRule } from './options.ts';
import { PoolCalls, withDeadline } from './pool-calls.ts';
import { PostgresInfoStore } from './postgres-info-store.ts';
import { DEFAULT_INFO_TABLES, type InfoTableNames } from './schema/info-names.ts';

/** Options of `PostgresInfoSessionManager`. */
export type PostgresInfoSessionManagerOptions = StoredInfoOptions &
  InfoTtlOption & {
    /**
     * `postgres://user:password@host:5432/database`, with the TLS parameters of `pg` (`sslmode`, `sslrootcert`, ...).
     * Either this or `pool`.
     */
    readonly connectionString?: string | undefined;
    /**
     * Anything that the application has with `query(text, values)`: a `Pool` of `pg`, `neon()` of
     * `@neondatabase/serverless`. It is never ended by us. Either this or `connectionString`.
     */
    readonly pool?: PostgresQueryable | undefined;
    /**
     * Names of the tables; each at most 40 bytes of letters, digits, `_` and `-`. Further tables are named after
     * `clientInfo`.
     * @default 'tmcp_session_client_capabilities', 'tmcp_session_client_info', 'tmcp_session_log_level' and
     * 'tmcp_session_subscriptions'
     */
    readonly tableNames?: Partial<InfoTableNames> | undefined;
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
     * Sessions of different namespaces never meet.
     * @default 'default'
     */
    readonly namespace?: string | undefined;
    /**
     * Most connections of the pool that is made from `connectionString`.
     * @default 4
     */
    readonly maxConnections?: number | undefined;
  };

const OWNER = 'PostgresInfoSessionManager';

/**
 * Session info on PostgreSQL, shared by any number of processes. Nothing connects before the first call. It listens to
 * nothing and holds no session state on its connections, so transaction poolers and drivers over HTTP will do.
 */
export class PostgresInfoSessionManager extends StoredInfoSessionManager {
  /** @throws SessionError `invalid-option` */
  constructor(options: PostgresInfoSessionManagerOptions) {
    const read = readOptions(OWNER, options, {
      ...storedInfoRules,
      infoTtlMs: infoTtlRule,
      connectionString: option.text(),
      pool: option.having<PostgresQueryable>('query'),
      tableNames: option.group<Partial<InfoTableNames>>(),
      schema: connectionRules.schema,
      create: connectionRules.create,
      namespace: option.name('default', 256),
      maxConnections: connectionRules.maxConnections,
    });
    const tables = readTableNames(read.tableNames);
    const { calls, end } = connect(read);
    const { schema, create, namespace, infoTtlMs, sendTimeoutMs } = read;
    const onError = guardErrorHandler(read.onError);
    super(
      new PostgresInfoStore({ calls, end, tables, schema, create, namespace, infoTtlMs, sendTimeoutMs, onError }),
      read,
    );
  }
}

type Connected = { readonly calls: InfoCalls; readonly end: () => Promise<void> };

function connect(options: {
  readonly connectionString: string | undefined;
  readonly pool: PostgresQueryable | undefined;
  readonly maxConnections: number | undefined;
  readonly sendTimeoutMs: number;
}): Connected {
  const { connectionString, pool, maxConnections, sendTimeoutMs } = options;
  requireOneOf(OWNER, { connectionString, pool }, ['connectionString', 'pool']);
  // Half of it, so that what hangs is tried once more on another connection.
  const timeoutMs = Math.ceil(sendTimeoutMs / 2);
  if (pool === undefined) {
    const checked = checkConnectionString(OWNER, 'connectionString', connectionString);
    const own = createPool(checked, maxConnections ?? 4, timeoutMs);
    return {
      calls: callsOfPool(new PoolCalls(own, timeoutMs)),
      end: () => withDeadline(sendTimeoutMs, performance.now() + sendTimeoutMs, own.end()),
    };
  }
  if (maxConnections !== undefined) throw invalidOption(OWNER, '"maxConnections" needs "connectionString"');
  if (!isPool(pool)) return { calls: callsOfQueryable(pool, timeoutMs), end: async () => undefined };
  const calls = new PoolCalls(pool, timeoutMs);
  return { calls: callsOfPool(calls), end: async () => calls.detach() };
}

/** A pool of `pg`, or of a driver made from it. A `Client` has all of its methods, but nothing to count. */
function isPool(pool: PostgresQueryable | DriverPool): pool is DriverPool {
  return 'totalCount' in pool && 'connect' in pool && 'on' in pool && 'removeListener' in pool;
}

function readTableNames(given: Partial<InfoTableNames> | undefined): InfoTableNames {
  const tables = readOptions(`${OWNER}, option "tableNames"`, given, {
    clientCapabilities: tableNameRule(DEFAULT_INFO_TABLES.clientCapabilities),
    clientInfo: tableNameRule(DEFAULT_INFO_TABLES.clientInfo),
    logLevel: tableNameRule(DEFAULT_INFO_TABLES.logLevel),
    subscriptions: tableNameRule(DEFAULT_INFO_TABLES.subscriptions),
  });
  if (new Set(Object.values(tables)).size < 4) {
    throw invalidOption(OWNER, 'option "tableNames" must name four different tables');
  }
  return tables;
}
