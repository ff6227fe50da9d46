import {
  type DeliverySettings,
  deliveryRules,
  type ErrorHandler,
  invalidOption,
  MAX_NAMESPACE_BYTES,
  type OptionRule,
  option,
  readOptions,
} from '@tmcp/session-manager';
import type { ShardSettings } from '../protocol.ts';
import { type ObjectBinding, Shards } from './shards.ts';

/** Which objects hold the sessions. Equal in every manager and Worker that share sessions. */
export type ShardOptions = {
  /**
   * Name of the Durable Object binding, or the binding itself.
   * @default 'TMCP_DURABLE_OBJECT'
   */
  readonly binding?: ObjectBinding | undefined;
  /**
   * Over how many objects sessions are spread, 1 to 64. Another number means other, empty objects: sessions of before are
   * unknown to them, and open streams of the old ones no longer get anything. The README tells how to change it.
   * @default 8
   */
  readonly shards?: number | undefined;
  /**
   * Sessions, broadcasts and subscriptions of different namespaces never meet.
   * @default 'default'
   */
  readonly namespace?: string | undefined;
  /** Where objects are placed when they are first used. */
  readonly locationHint?: DurableObjectLocationHint | undefined;
  /** Restricts where objects run and store, for example `'eu'`. */
  readonly jurisdiction?: DurableObjectJurisdiction | undefined;
};

/** Options of streams and subscriptions. Times are milliseconds, sizes bytes. */
export type DurableObjectDeliveryOptions = ShardOptions & {
  /**
   * How long a dropped session can be resumed. The log is kept twice as long.
   * @default 60_000
   */
  readonly resumeWindowMs?: number | undefined;
  /**
   * The log of a shard is trimmed beyond this size.
   * @default 33_554_432 (32 MiB)
   */
  readonly maxLogBytes?: number | undefined;
  /**
   * A larger message is refused.
   * @default 4_194_304 (4 MiB), at most 5_242_880: escaped it has to fit into one frame of 32 MiB
   */
  readonly maxMessageBytes?: number | undefined;
  /**
   * A stream that was idle for this long gets a comment frame, without which a client that has gone is not noticed.
   * 0 turns it off.
   * @default 15_000
   */
  readonly keepAliveMs?: number | undefined;
  /**
   * Deadline of a send, create or has.
   * @default 10_000
   */
  readonly sendTimeoutMs?: number | undefined;
  /**
   * A client that was not heard of for so long is probed before `has` says that its stream is open.
   * @default 10_000
   */
  readonly sessionTimeoutMs?: number | undefined;
  /**
   * How long after a message its shard is told that it was handed over.
   * @default 3_000
   */
  readonly heartbeatMs?: number | undefined;
  /**
   * Unread earlier bytes beyond which the stream of a slow reader is ended; it can resume.
   * @default 1_048_576 (1 MiB)
   */
  readonly maxStreamBufferBytes?: number | undefined;
  /**
   * What waits to be stored beyond this is refused and reported.
   * @default 67_108_864 (64 MiB)
   */
  readonly maxOutboxBytes?: number | undefined;
  /**
   * Whether frames carry an `id:` line, by which clients resume.
   * @default true
   */
  readonly eventIds?: boolean | undefined;
  /**
   * Told of every failure that no caller can see.
   * @default rate-limited `console.error`
   */
  readonly onError?: ErrorHandler | undefined;
};

const MiB = 1024 * 1024;
export const DEFAULT_BINDING = 'TMCP_DURABLE_OBJECT';

const binding: OptionRule<ObjectBinding> = {
  expects: 'the name of a Durable Object binding, or the binding itself',
  accepts: (value) => (typeof value === 'string' ? value !== '' : typeof value === 'object' && value !== null),
  fallback: DEFAULT_BINDING,
};

type ShardRules = {
  readonly binding: OptionRule<ObjectBinding>;
  readonly shards: OptionRule<number>;
  readonly namespace: OptionRule<string>;
  readonly locationHint: OptionRule<string | undefined>;
  readonly jurisdiction: OptionRule<string | undefined>;
};

export const shardRules: ShardRules = {
  binding,
  shards: option.integer(8, { min: 1, max: 64 }),
  namespace: option.name('default', MAX_NAMESPACE_BYTES),
  locationHint: option.text(),
  jurisdiction: option.text(),
};

export const deliveryAndShardRules: typeof deliveryRules & ShardRules = {
  ...deliveryRules,
  ...shardRules,
  maxLogBytes: option.bytes(32 * MiB),
  maxMessageBytes: option.bytes(4 * MiB, { max: 5 * MiB }),
};

export type DeliveryConfiguration = {
  readonly shards: Shards;
  readonly delivery: DeliverySettings;
  readonly shard: ShardSettings;
};

type ReadShardOptions = Required<{ [K in keyof ShardRules]: unknown }>;

export function readShards(owner: string, read: ReadShardOptions): Shards {
  if (read.jurisdiction !== undefined && !['eu', 'fedramp', 'fedramp-high', 'us'].includes(String(read.jurisdiction))) {
    throw invalidOption(owner, 'option "jurisdiction" is not one that Durable Objects know');
  }
  return new Shards({
    binding: read.binding as ObjectBinding,
    namespace: read.namespace as string,
    shards: read.shards as number,
    locationHint: read.locationHint as DurableObjectLocationHint | undefined,
    jurisdiction: read.jurisdiction as DurableObjectJurisdiction | undefined,
  });
}

/** @throws SessionError `invalid-option` */
export function readDelivery(
  owner: string,
  options: DurableObjectDeliveryOptions | string | undefined,
): DeliveryConfiguration {
  const read = readOptions(owner, typeof options === 'string' ? { binding: options } : options, deliveryAndShardRules);
  const { resumeWindowMs, maxLogBytes, sessionTimeoutMs } = read;
  return {
    shards: readShards(owner, read),
    delivery: read,
    shard: { resumeWindowMs, maxLogBytes, sessionTimeoutMs },
  };
}
