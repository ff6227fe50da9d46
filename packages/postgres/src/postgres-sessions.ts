import {
  createSessionSet,
  type InfoTtlOption,
  infoTtlRule,
  option,
  readOptions,
  type SessionSet,
} from '@tmcp/session-manager';
import type { PostgresQueryable } from './info-calls.ts';
import { PostgresConnection } from './postgres-connection.ts';
import { PostgresInfoSessionManager } from './postgres-info-session-manager.ts';
import {
  type PostgresDeliveryOptions,
  postgresDeliveryRules,
  postgresNode,
  readDeliveryOptions,
} from './postgres-node.ts';
import type { InfoTableNames } from './schema/info-names.ts';

/** Options of `postgresSessions()`: those of the three managers. */
export type PostgresSessionsOptions = PostgresDeliveryOptions &
  InfoTtlOption & {
    /**
     * Names of the tables of session info.
     * @default 'tmcp_session_client_capabilities', 'tmcp_session_client_info', 'tmcp_session_log_level' and
     * 'tmcp_session_subscriptions'
     */
    readonly tableNames?: Partial<InfoTableNames> | undefined;
  };

export type PostgresSessions = SessionSet<PostgresInfoSessionManager>;

const OWNER = 'postgresSessions';

/**
 * Streams, info and subscriptions on one PostgreSQL, sharing one pool and one listening connection. Nothing connects
 * before the first call.
 *
 * ```ts
 * const sessions = postgresSessions({ connectionString });
 * const transport = new HttpTransport(server, { path: '/mcp', ...sessions });
 * ```
 *
 * @throws SessionError `invalid-option`
 */
export function postgresSessions(options: PostgresSessionsOptions): PostgresSessions {
  const { infoTtlMs, tableNames, ...rest } = readOptions(OWNER, options, {
    ...postgresDeliveryRules,
    infoTtlMs: infoTtlRule,
    tableNames: option.group<Partial<InfoTableNames>>(),
  });
  const settings = readDeliveryOptions(OWNER, rest);
  const connection = new PostgresConnection(settings.reach, OWNER);
  const release = connection.retain();
  const { schema, create } = settings.reach;
  const { sendTimeoutMs, maxOutboxBytes, onError } = settings.delivery;
  return createSessionSet({
    namespace: settings.namespace,
    node: (namespace) => postgresNode(connection, settings, namespace),
    info: (namespace) =>
      new PostgresInfoSessionManager({
        pool: connection.pool as unknown as PostgresQueryable,
        namespace,
        tableNames,
        schema,
        create,
        infoTtlMs,
        sendTimeoutMs,
        maxOutboxBytes,
        onError,
      }),
    end: release,
  });
}
