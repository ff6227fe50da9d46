import {
  DeliveryNode,
  type DeliveryOptions,
  type DeliverySettings,
  deliveryRules,
  type OptionRule,
  option,
  readOptions,
} from '@tmcp/session-manager';
import { type ConnectionRules, connectionRules, type RedisConnectionOptions, withUrl } from './options.ts';
import { RedisBackplane } from './redis-backplane.ts';
import { RedisConnection } from './redis-connection.ts';

/** Options of everything that travels through the log on Redis. */
export type RedisDeliveryOptions = Omit<RedisConnectionOptions, 'callTimeoutMs'> &
  DeliveryOptions & {
    /**
     * Sessions and broadcasts of different namespaces never meet.
     * @default 'default'
     */
    readonly namespace?: string | undefined;
  };

type RedisDeliveryRules = Omit<ConnectionRules, 'callTimeoutMs'> &
  typeof deliveryRules & { readonly namespace: OptionRule<string> };

const { callTimeoutMs: _, ...reachRules } = connectionRules;

/** For `readOptions`: the factory spreads these beside its own. */
export const redisDeliveryRules: RedisDeliveryRules = {
  ...reachRules,
  ...deliveryRules,
  namespace: option.name('default', 256),
};

/** Options with every default filled in, parted by who needs them. */
export type RedisDeliverySettings = {
  readonly reach: RedisConnectionOptions;
  readonly delivery: DeliverySettings;
  readonly namespace: string;
};

/** @throws SessionError `invalid-option` */
export function readDeliveryOptions(owner: string, options: RedisDeliveryOptions): RedisDeliverySettings {
  const { namespace, url, client, keyPrefix, wait, ...delivery } = readOptions(owner, options, redisDeliveryRules);
  // Half the deadline: a call on a connection that has died without a word is tried again before its caller gives up.
  const callTimeoutMs = Math.ceil(delivery.sendTimeoutMs / 2);
  return { reach: { url, client, keyPrefix, wait, callTimeoutMs }, delivery, namespace };
}

/** A node of one namespace. It closes its share of the connection with itself. */
export function redisNode(
  connection: RedisConnection,
  { delivery }: RedisDeliverySettings,
  namespace: string,
): DeliveryNode {
  const { sessionTimeoutMs } = delivery;
  return new DeliveryNode(new RedisBackplane(connection, { namespace, sessionTimeoutMs }), delivery);
}

/** A node on connections of its own, for a manager that stands alone. */
export function standaloneNode(owner: string, options: string | RedisDeliveryOptions): DeliveryNode {
  const settings = readDeliveryOptions(owner, withUrl(options));
  return redisNode(new RedisConnection(settings.reach, owner), settings, settings.namespace);
}
