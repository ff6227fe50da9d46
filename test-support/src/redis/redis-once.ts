import { Redis } from 'ioredis';

export interface RedisOnceOptions {
  /** The certificate of the authority, where the address begins with `rediss:`. */
  readonly ca?: string | undefined;
  /** @default 5_000 */
  readonly timeoutMs?: number | undefined;
}

/** One command on a connection of its own. Nothing is tried twice. */
export async function redisOnce(
  url: string,
  command: readonly [name: string, ...args: (string | number)[]],
  { ca, timeoutMs = 5_000 }: RedisOnceOptions = {},
): Promise<unknown> {
  const client = new Redis(url, {
    lazyConnect: true,
    // A server that is loading its data has to say so.
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
  let cause: unknown;
  client.on('error', (error) => {
    cause = error;
  });
  try {
    await client.connect();
    const [name, ...args] = command;
    return await client.call(name, ...args);
  } catch (error) {
    // `connect` rejects with "Connection is closed", the reason comes as an event.
    throw cause ?? error;
  } finally {
    client.disconnect();
  }
}
