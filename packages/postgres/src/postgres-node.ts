import {
  DeliveryNode,
  type DeliveryOptions,
  type DeliverySettings,
  deliveryRules,
  type OptionRule,
  option,
  readOptions,
} from '@tmcp/session-manager';
import { type ConnectionRules, connectionRules, type PostgresConnectionOptions } from './options.ts';
import { PostgresBackplane } from './postgres-backplane.ts';
import { PostgresConnection } from './postgres-connection.ts';

/** What an accepted message survives. */
export type Durability = 'commit' | 'async' | 'none';

/** Options of everything that travels through the log on PostgreSQL. */
export type PostgresDeliveryOptions = Omit<PostgresConnectionOptions, 'callTimeoutMs'> &
  DeliveryOptions & {
    /**
     * - `'commit'`: a message is accepted once its transaction is committed, as safe as the server's own setting
     * - `'async'`: the server does not wait for its disk (`synchronous_commit` off): about 1.4 times the throughput; a
     *   crash of the server may lose the last moments, which is noticed and reported
     * - `'none'`: nothing is stored, at most once, no resume
     * @default 'commit'
     */
    readonly durability?: Durability | undefined;
    /**
     * Sessions and broadcasts of different namespaces never meet.
     * @default 'default'
     */
    readonly namespace?: string | undefined;
  };

type PostgresDeliveryRules = Omit<ConnectionRules, 'callTimeoutMs'> &
  typeof deliveryRules & {
    readonly durability: OptionRule<Durability>;
    readonly namespace: OptionRule<string>;
  };

const { callTimeoutMs: _, ...reachRules } = connectionRules;

/** For `readOptions`: the factory spreads these beside its own. */
export const postgresDeliveryRules: PostgresDeliveryRules = {
  ...reachRules,
  ...deliveryRules,
  durability: option.oneOf(['commit', 'async', 'none'], 'commit'),
  namespace: option.name('default', 256),
};

/** Options with every default filled in, parted by who needs them. */
export type PostgresDeliverySettings = {
  readonly reach: PostgresConnectionOptions;
  readonly delivery: DeliverySettings;
  readonly durability: Durability;
  readonly namespace: string;
};

/** @throws SessionError `invalid-option` */
export function readDeliveryOptions(owner: string, options: PostgresDeliveryOptions): PostgresDeliverySettings {
  const { durability, namespace, ...read } = readOptions(owner, options, postgresDeliveryRules);
  const { connectionString, pool, listenConnectionString, tableName, schema, create, maxConnections, ...delivery } =
    read;
  // Half the deadline: a call on a connection that has died without a word is tried again before its caller gives up.
  const callTimeoutMs = Math.ceil(delivery.sendTimeoutMs / 2);
  const reach = {
    connectionString,
    pool,
    listenConnectionString,
    tableName,
    schema,
    create,
    maxConnections,
    callTimeoutMs,
  };
  return { reach, delivery, durability, namespace };
}

/** A node of one namespace. It closes its share of the connection with itself. */
export function postgresNode(
  connection: PostgresConnection,
  { delivery, durability }: PostgresDeliverySettings,
  namespace: string,
): DeliveryNode {
  const { sessionTimeoutMs } = delivery;
  return new DeliveryNode(new PostgresBackplane(connection, { namespace, durability, sessionTimeoutMs }), delivery);
}

/** A node on connections of its own, for a manager that stands alone. */
export function standaloneNode(owner: string, options: PostgresDeliveryOptions): DeliveryNode {
  const settings = readDeliveryOptions(owner, options);
  return postgresNode(new PostgresConnection(settings.reach, owner), settings, settings.namespace);
}
