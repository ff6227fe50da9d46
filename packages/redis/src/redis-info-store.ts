import { createHash } from 'node:crypto';
import {
  type Age,
  type ErrorHandler,
  type InfoField,
  type InfoRow,
  type InfoStore,
  ServerClock,
} from '@tmcp/session-manager';
import { toSessionError } from './errors.ts';
import { type InfoKeys, infoKeys } from './keys.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { Script } from './script.ts';
import {
  deleteInfo,
  expiredInfo,
  readInfo,
  removeExpiredInfo,
  subscribeInfo,
  subscribersOf,
  unsubscribeInfo,
  writeInfo,
} from './scripts/info.ts';

export type RedisInfoStoreSettings = {
  readonly connection: RedisConnection;
  readonly namespace: string;
  readonly infoTtlMs: number;
  readonly sendTimeoutMs: number;
  readonly onError: ErrorHandler;
};

/** A use extends the time to live by this share more than it must, and is written once in that share of it. */
const SLACK = 1 / 32;
/** Deletions are remembered for at least this long, in case a process that was about to write was frozen. */
const REMEMBER_DELETION_MS = 3_600_000;
const CLEAN_UP_EVERY_MS = 60_000;
/** Sessions that one step removes at most, so that the server is never busy with it for long. */
const EXPIRED_PER_STEP = 100;
const CLEAN_UP_STEPS = 100;

/**
 * Session info in Redis: a hash per session, and for its namespace two sorted sets, of when sessions are forgotten and
 * of who subscribed to what, and the texts of the URIs. All share a hash tag, so each call is one script, whose keys
 * are known beforehand: it takes effect as a whole, in a Cluster too.
 *
 * No key has a time to live of its own: one that Redis removed by itself would leave the others behind, and with
 * `volatile-*` policies it could go at any time. What expired is removed on the way: about once a minute a process that
 * writes takes up to 100 steps of 100 sessions.
 *
 * A write tells its age. It may have waited in the driver since it was asked for that, so it also tells by when it was
 * sent, on the clock of the server (`ServerClock`). Whoever meets a clock for the first time sends its write twice.
 */
export class RedisInfoStore implements InfoStore {
  readonly #connection: RedisConnection;
  readonly #keys: InfoKeys;
  readonly #onError: ErrorHandler;
  readonly #ttl: number;
  readonly #extendedTtl: number;
  readonly #remember: number;
  readonly #clock: ServerClock = new ServerClock();
  readonly #release: () => Promise<void>;
  /** Somewhere in the past, so that processes that start together do not clean up together. */
  #cleanedUpAt: number = performance.now() - Math.random() * CLEAN_UP_EVERY_MS;
  #cleaningUp: Promise<unknown> = Promise.resolve();

  constructor({ connection, namespace, infoTtlMs, sendTimeoutMs, onError }: RedisInfoStoreSettings) {
    this.#connection = connection;
    this.#keys = infoKeys(connection.keyPrefix, namespace);
    this.#onError = onError;
    this.#ttl = infoTtlMs * 1_000;
    this.#extendedTtl = Math.ceil(this.#ttl * (1 + SLACK));
    this.#remember = Math.ceil(Math.max(REMEMBER_DELETION_MS, 10 * sendTimeoutMs) * 1_000);
    this.#release = connection.retain();
  }

  async read(id: string): Promise<InfoRow> {
    const keys = [this.#keys.session(id), this.#keys.due];
    const answer = await this.#connection.run(readInfo, keys, [id, this.#ttl, this.#extendedTtl]);
    const [clientCapabilities, clientInfo, logLevel, refusal] = (answer as (string | null)[]).map(
      (value) => value ?? undefined,
    );
    if (refusal !== undefined) this.#onError(toSessionError(new Error(refusal)));
    return { clientCapabilities, clientInfo, logLevel };
  }

  async write(id: string, field: InfoField, json: string, age: Age): Promise<void> {
    await this.#send(writeInfo, id, age, [this.#extendedTtl, field, json]);
    this.#cleanUp();
  }

  async subscribe(id: string, uri: string, age: Age): Promise<void> {
    await this.#send(subscribeInfo, id, age, [this.#extendedTtl, hashOf(uri), uri]);
    this.#cleanUp();
  }

  async unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    await this.#send(unsubscribeInfo, id, age, [hashOf(uri), uri]);
  }

  async subscribers(uri: string): Promise<string[]> {
    const { due, subscribers, uris } = this.#keys;
    return (await this.#connection.run(subscribersOf, [due, subscribers, uris], [hashOf(uri), uri])) as string[];
  }

  async delete(id: string, age: Age): Promise<void> {
    await this.#send(deleteInfo, id, age, [this.#remember]);
    this.#cleanUp();
  }

  /** Reads a session that cannot exist, and the subscribers of no URI. */
  async check(): Promise<void> {
    await this.read('');
    await this.subscribers('');
  }

  async close(): Promise<void> {
    await this.#cleaningUp;
    await this.#release();
  }

  /** Removes what expired, in bounded steps. @returns how many sessions, or memories of a deletion, it were */
  async removeExpired(): Promise<number> {
    const { due, subscribers, uris } = this.#keys;
    let removed = 0;
    for (let step = 0; step < CLEAN_UP_STEPS; step += 1) {
      const ids = (await this.#connection.run(expiredInfo, [due], [EXPIRED_PER_STEP])) as string[];
      if (ids.length === 0) break;
      const keys = [due, subscribers, uris, ...ids.map((id) => this.#keys.session(id))];
      removed += Number(await this.#connection.run(removeExpiredInfo, keys, [this.#remember, ...ids]));
    }
    return removed;
  }

  #cleanUp(): void {
    const now = performance.now();
    if (now - this.#cleanedUpAt < CLEAN_UP_EVERY_MS) return;
    this.#cleanedUpAt = now;
    this.#cleaningUp = this.removeExpired().catch((error: unknown) => this.#onError(toSessionError(error)));
  }

  /** @param values what the script takes after those that all writes have */
  async #send(script: Script, id: string, age: Age, values: readonly (string | number)[]): Promise<void> {
    const { due, subscribers, uris } = this.#keys;
    const keys = [this.#keys.session(id), due, subscribers, uris];
    await this.#clock.send(age, async (date) => {
      const { age: microseconds, latest } = date();
      const answer = await this.#connection.run(script, keys, [id, microseconds, latest, ...values]);
      const [now, considered] = answer as [string, number | string];
      return { now: Number(now), considered: Number(considered) === 1 };
    });
  }
}

/** A URI can be longer than a name should be. */
function hashOf(uri: string): string {
  return createHash('sha256').update(uri).digest('base64url');
}
