import { type Cluster, Redis, type RedisOptions } from 'ioredis';

/** What is used of a client of `ioredis`, so that any copy of it will do. */
export type RedisClient = {
  readonly status: string;
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  pipeline(commands: unknown[][]): { exec(): Promise<[error: Error | null, result: unknown][] | null> };
  on(event: string, listener: (...args: unknown[]) => void): unknown;
};

export type { Cluster, Redis };

/** A client of a Cluster knows which node serves a key; one of a single server, or behind Sentinel, has one connection. */
export function isCluster(client: RedisClient): client is RedisClient & Cluster {
  return (client as { isCluster?: unknown }).isCluster === true;
}

/** `rediss://` is TLS. Nothing connects before the first command. */
export function createClient(url: string, connectTimeout: number): Redis {
  return new Redis(url, {
    lazyConnect: true,
    connectTimeout,
    keepAlive: 10_000,
    // A call has a deadline of its own, and what must not get lost is tried again: nothing has to wait here for long.
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1_000) * (0.5 + Math.random() / 2),
  });
}

/** For a connection that lives once: whoever uses it makes another when it has ended. */
const ONE_LIFE = {
  lazyConnect: true,
  retryStrategy: () => null,
  reconnectOnError: null,
  maxRetriesPerRequest: 0,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  commandTimeout: undefined,
  enableAutoPipelining: false,
  // Subscribed, and reading a stream nevertheless.
  protocol: 3,
  replyMapping: 'legacy',
  keyPrefix: '',
  readOnly: false,
} satisfies RedisOptions;

/** A further connection to the server that holds a key, with the settings of the client. */
export async function connectLike(client: RedisClient, key: string, socketTimeout: number): Promise<Redis> {
  const source = isCluster(client) ? await masterOf(client, key) : (client as unknown as Redis);
  // Not its `duplicate()`: another version of the driver than ours cannot read while it is subscribed.
  const connection = new Redis({ ...source.options, ...ONE_LIFE, socketTimeout });
  // Without a listener the process would die of it; the rejected call tells the same.
  connection.on('error', () => undefined);
  return connection;
}

/** The master that serves a key, by the newest that the client knows of its Cluster. */
async function masterOf(cluster: Cluster, key: string): Promise<Redis> {
  // It is sent to the master, whatever the driver does with commands that only read, and so learns where the key moved.
  const slot = Number(await cluster.call('EVAL', "return redis.call('CLUSTER', 'KEYSLOT', KEYS[1])", 1, key));
  const [address] = cluster.slots[slot] ?? [];
  const master = cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === address);
  if (!master) throw new Error('no master of the Cluster serves this key');
  return master;
}

/** What ioredis puts in front of the keys of its commands; connections of ours do it by hand. */
export function prefixOf(client: RedisClient): string {
  const { options } = client as unknown as { options?: { keyPrefix?: string; redisOptions?: { keyPrefix?: string } } };
  return options?.keyPrefix ?? options?.redisOptions?.keyPrefix ?? '';
}
