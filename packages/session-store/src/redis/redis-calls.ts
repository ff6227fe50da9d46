import type { DriverContext } from '../backend-options.ts';
import { generateSessionId } from '../session-ids.ts';
import { attempts, type Operation } from './attempts.ts';
import { Connection } from './connection.ts';
import type { RedisClient } from './redis-client.ts';
import { RedisScript } from './redis-script.ts';
import { ServerClock } from './server-clock.ts';

/** So much later than its caller waits may a write still be applied: clocks of servers differ. */
const LATE_MS = 1_000;

/** Every call to the server: with a deadline, and with scripts that are sent when the server lacks them. */
export class RedisCalls {
  readonly client: RedisClient;
  readonly #connection: Connection;
  readonly #timeoutMs: number;
  readonly #clock = new ServerClock();
  readonly #scripts: Map<string, RedisScript> = new Map();

  constructor(client: RedisClient, { operationTimeoutMs }: Pick<DriverContext, 'operationTimeoutMs'>) {
    this.client = client;
    this.#connection = new Connection(client);
    this.#timeoutMs = operationTimeoutMs;
  }

  /** @param attempt may be run several times */
  read<T>(name: string, attempt: () => Promise<T>): Promise<T> {
    return attempts(this.#connection, { name, writes: false }, this.#timeoutMs, attempt);
  }

  /** A script that changes nothing. @returns what it answers behind status and time */
  async ask(name: string, script: string, keys: readonly string[]): Promise<readonly unknown[]> {
    const [, now, ...rest] = await this.read(name, () => this.#run(script, keys, []));
    this.#clock.set(Number(now));
    return rest;
  }

  /**
   * A script that writes, once however often it is sent.
   *
   * @param token what it gets in place of an id of its own
   * @returns what it answers, without the time
   */
  async write(
    name: string,
    script: string,
    keys: readonly string[],
    args: readonly (string | number)[],
    token: string = generateSessionId(),
  ): Promise<readonly [status: string, ...rest: unknown[]]> {
    const operation: Operation = { name, writes: true };
    return attempts(this.#connection, operation, this.#timeoutMs, async (remainingMs) => {
      const until = performance.now() + remainingMs;
      for (;;) {
        const lastMoment = this.#clock.at(until) + LATE_MS;
        const [status, now, ...rest] = await this.#run(script, keys, [lastMoment.toFixed(0), token, ...args]);
        this.#clock.set(Number(now));
        // Its clock was ahead of what we took it for; now we know.
        if (status !== 'late' || performance.now() > until) return [String(status), ...rest];
      }
    });
  }

  #run(text: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown[]> {
    let script = this.#scripts.get(text);
    if (script === undefined) {
      script = new RedisScript(text);
      this.#scripts.set(text, script);
    }
    return script.run(this.client, keys, args) as Promise<unknown[]>;
  }
}
