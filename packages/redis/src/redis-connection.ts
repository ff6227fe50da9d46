import { SessionError } from '@tmcp/session-manager';
import { ClientWatch } from './client-watch.ts';
import { connectLike, prefixOf, type Redis, type RedisClient } from './driver.ts';
import { timeoutError, toSessionError } from './errors.ts';
import { type ConnectionSettings, type RedisConnectionOptions, readConnectionOptions } from './options.ts';
import type { ReplicaWait, Script } from './script.ts';

/**
 * The connections of one process: a client for calls, and one further connection per namespace that reads. All
 * managers of a process share it; it ends what it opened when the last of them has released it. Nothing connects
 * before the first call.
 */
export class RedisConnection {
  readonly keyPrefix: string;
  readonly callTimeoutMs: number;
  readonly wait: ReplicaWait | undefined;
  readonly #settings: ConnectionSettings;
  /** What the driver puts in front of keys: ours do not know of it, but channels and further connections have to. */
  readonly #driverPrefix: string;
  /** Of a client that we made. */
  readonly #watch: ClientWatch | undefined;
  #users = 0;
  #closing: Promise<void> | undefined;

  /** @param owner name of the class that the options were given to, for messages */
  constructor(options: RedisConnectionOptions, owner = 'RedisConnection') {
    this.#settings = readConnectionOptions(owner, options);
    const { client, ownsClient, keyPrefix, callTimeoutMs, wait } = this.#settings;
    this.keyPrefix = keyPrefix;
    this.callTimeoutMs = callTimeoutMs;
    this.wait = wait;
    this.#driverPrefix = prefixOf(client);
    this.#watch = ownsClient ? new ClientWatch(client as unknown as Redis) : undefined;
  }

  /** Keeps the connections open until the function that is returned has been called. */
  retain(): () => Promise<void> {
    if (this.#closing) throw new SessionError('closed', 'these connections were closed');
    this.#users += 1;
    let released: Promise<void> | undefined;
    return () => {
      released ??= this.#release();
      return released;
    };
  }

  /** Runs a script. @throws SessionError */
  run(
    script: Script,
    keys: readonly string[],
    values: readonly (string | number)[] = [],
    timeoutMs: number = this.callTimeoutMs,
  ): Promise<unknown> {
    return this.#withDeadline(timeoutMs, (client) => script.run(client, keys, values));
  }

  /** Runs a script that stores what others rely on: on replicas as well, where that is asked for. @throws SessionError */
  runConfirmed(script: Script, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    const { wait } = this;
    if (!wait) return this.run(script, keys, values);
    const timeoutMs = this.callTimeoutMs + wait.timeoutMs;
    return this.#withDeadline(timeoutMs, (client) => script.runConfirmed(client, keys, values, wait));
  }

  /** Sends a command. @throws SessionError */
  call(command: string, ...values: (string | number)[]): Promise<unknown> {
    return this.#withDeadline(this.callTimeoutMs, (client) => client.call(command, ...values));
  }

  /** A connection of its own to the server that holds a key, not connected yet. @throws SessionError */
  connectTo(key: string, socketTimeoutMs: number): Promise<Redis> {
    return this.#withDeadline(this.callTimeoutMs, (client) => connectLike(client, this.named(key), socketTimeoutMs));
  }

  /** A key as the server knows it: for commands that the driver does not know to have keys. */
  named(key: string): string {
    return this.#driverPrefix + key;
  }

  async #withDeadline<T>(timeoutMs: number, send: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.#closing) throw new SessionError('closed', 'this session manager was closed');
    const failure = this.#watch?.failure;
    if (failure !== undefined) throw toSessionError(failure);
    const unanswered = this.#watch?.expectAnswer();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        if (timeoutMs >= this.callTimeoutMs) unanswered?.();
        reject(timeoutError(timeoutMs));
      }, timeoutMs);
    });
    try {
      return await Promise.race([send(this.#settings.client), late]);
    } catch (error) {
      throw toSessionError(this.#watch?.failure ?? error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #release(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    const { client, ownsClient } = this.#settings;
    // What was sent has been answered, or has lost its caller: there is nothing to wait for.
    if (ownsClient) (client as unknown as Redis).disconnect();
  }
}
