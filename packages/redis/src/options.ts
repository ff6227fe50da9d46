import { invalidOption, type OptionRule, option, readOptions, requireOneOf } from '@tmcp/session-manager';
import { createClient, type RedisClient } from './driver.ts';
import type { ReplicaWait } from './script.ts';

/** How to reach Redis, and where our keys stand. */
export type RedisConnectionOptions = {
  /**
   * `redis://user:password@host:6379/0`, `rediss://` for TLS. Either this or `client`.
   */
  readonly url?: string | undefined;
  /**
   * A `Redis` or `Cluster` of `ioredis` that the application has: for Sentinel, for a Cluster, for TLS with
   * certificates of its own. It is never ended by us; one further connection per namespace, which reads, is made with
   * its settings. Either this or `url`.
   */
  readonly client?: RedisClient | undefined;
  /**
   * Beginning of the names of all keys, without braces, at most 64 bytes.
   * @default 'tmcp'
   */
  readonly keyPrefix?: string | undefined;
  /**
   * A message counts as accepted only when so many replicas have it, which may take so long before it is tried again
   * (`WAIT`). Then a fail-over, or a restart, that lost nothing is no discontinuity. Without it, each is one: Redis
   * confirms a write before anything but its memory has it.
   * @default no replica is asked
   */
  readonly wait?: ReplicaWait | undefined;
  /**
   * Deadline of each call to the server. What must not get lost is tried again after it.
   * @default 5_000
   */
  readonly callTimeoutMs?: number | undefined;
};

export type ConnectionRules = {
  readonly url: OptionRule<string | undefined>;
  readonly client: OptionRule<RedisClient | undefined>;
  readonly keyPrefix: OptionRule<string>;
  readonly wait: OptionRule<ReplicaWait | undefined>;
  readonly callTimeoutMs: OptionRule<number>;
};

/** For `readOptions`: managers spread these beside their own. */
export const connectionRules: ConnectionRules = {
  url: option.text(),
  client: option.having<RedisClient>('call', 'pipeline', 'on'),
  keyPrefix: keyPrefixRule('tmcp'),
  wait: waitRule(),
  callTimeoutMs: option.durationMs(5_000),
};

export type ConnectionSettings = {
  readonly client: RedisClient;
  readonly ownsClient: boolean;
  readonly keyPrefix: string;
  readonly wait: ReplicaWait | undefined;
  readonly callTimeoutMs: number;
};

/** @throws SessionError `invalid-option` */
export function readConnectionOptions(owner: string, options: RedisConnectionOptions): ConnectionSettings {
  const { url, client, ...read } = readOptions(owner, options, connectionRules);
  requireOneOf(owner, { url, client }, ['url', 'client']);
  if (client !== undefined) return { ...read, client, ownsClient: false };
  return {
    ...read,
    client: createClient(checkUrl(owner, url), read.callTimeoutMs) as unknown as RedisClient,
    ownsClient: true,
  };
}

/** Constructors take a URL in place of options. */
export function withUrl<T extends { readonly url?: string | undefined }>(options: string | T): T {
  return typeof options === 'string' ? ({ url: options } as T) : options;
}

/** Braces would move the hash tag, and with it the keys to other nodes of a Cluster. */
function keyPrefixRule(fallback: string): OptionRule<string> {
  return {
    expects: 'text of 1 to 64 bytes without braces, spaces and control characters',
    accepts: (value) =>
      typeof value === 'string' && /^[^\s{}\p{Cc}\p{Cs}]+$/u.test(value) && Buffer.byteLength(value) <= 64,
    fallback,
  };
}

function waitRule(): OptionRule<ReplicaWait | undefined> {
  return {
    expects: '{ replicas, timeoutMs }: how many replicas, 1 or more, and how many milliseconds, 1 to 60,000',
    accepts: (value) => {
      if (typeof value !== 'object' || value === null) return false;
      const { replicas, timeoutMs, ...rest } = value as { replicas?: unknown; timeoutMs?: unknown };
      return isWhole(replicas, 100) && isWhole(timeoutMs, 60_000) && Object.keys(rest).length === 0;
    },
    fallback: undefined,
  };
}

function isWhole(value: unknown, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
}

/** Without ever showing it: it holds a password. */
function checkUrl(owner: string, value: string | undefined): string {
  if (value === undefined || !/^rediss?:\/\//.test(value) || !URL.canParse(value)) {
    throw invalidOption(owner, 'option "url" must look like redis://user:password@host:6379/0');
  }
  return value;
}
