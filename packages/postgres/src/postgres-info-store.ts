import {
  type Age,
  type ErrorHandler,
  type InfoField,
  type InfoRow,
  type InfoStore,
  ServerClock,
  SessionError,
} from '@tmcp/session-manager';
import type { InfoCalls } from './info-calls.ts';
import { EXPIRED_PER_STEP, type InfoStatements, infoStatements } from './info-statements.ts';
import { infoMigrations } from './schema/info-migrations.ts';
import { type InfoTableNames, infoMigrationsTable, infoNames } from './schema/info-names.ts';
import { migrate } from './schema/migrate.ts';
import { findSchema } from './schema/names.ts';

export type PostgresInfoStoreSettings = {
  readonly calls: InfoCalls;
  readonly tables: InfoTableNames;
  readonly schema: string | undefined;
  readonly create: boolean;
  readonly namespace: string;
  readonly infoTtlMs: number;
  readonly sendTimeoutMs: number;
  readonly onError: ErrorHandler;
  /** Closes what was opened for this store. */
  readonly end: () => Promise<void>;
};

/** A use extends the time to live by this share more than it must, and is written once in that share of it. */
const SLACK = 1 / 32;
/** Deletions are remembered for at least this long, in case a process that was about to write was frozen. */
const REMEMBER_DELETION_MS = 3_600_000;
/** Changing the schema is not a call that anybody waits for: it may go on while calls end at their deadline. */
const SCHEMA_CHANGE_MS = 60_000;
const CLEAN_UP_EVERY_MS = 60_000;
const CLEAN_UP_STEPS = 20;

/**
 * Session info in PostgreSQL: one statement per call, see `info-statements.ts`; the tables stand in
 * `schema/info-tables.ts`.
 *
 * What expired is removed on the way: about once a minute a process that writes takes up to 20 steps of 500 sessions,
 * unless another one is doing so.
 *
 * A write tells its age, and by when it was sent, on the clock of the server (`ServerClock`). Whoever meets a clock for
 * the first time sends its write twice.
 */
export class PostgresInfoStore implements InfoStore {
  readonly #settings: PostgresInfoStoreSettings;
  readonly #ttlMs: string;
  readonly #extendedTtlMs: string;
  readonly #rememberMs: string;
  readonly #clock: ServerClock = new ServerClock();
  #statements: Promise<InfoStatements> | undefined;
  /** Somewhere in the past, so that processes that start together do not clean up together. */
  #cleanedUpAt: number = performance.now() - Math.random() * CLEAN_UP_EVERY_MS;
  #cleaningUp: Promise<unknown> = Promise.resolve();

  constructor(settings: PostgresInfoStoreSettings) {
    this.#settings = settings;
    this.#ttlMs = String(settings.infoTtlMs);
    this.#extendedTtlMs = String(settings.infoTtlMs * (1 + SLACK));
    this.#rememberMs = String(Math.max(REMEMBER_DELETION_MS, 10 * settings.sendTimeoutMs));
  }

  async read(id: string): Promise<InfoRow> {
    const rows = await this.#run(
      ({ read }) => read,
      () => [id, this.#ttlMs, this.#extendedTtlMs],
    );
    const [clientCapabilities, clientInfo, logLevel] = columns(rows[0]);
    return { clientCapabilities, clientInfo, logLevel };
  }

  async write(id: string, field: InfoField, json: string, age: Age): Promise<void> {
    await this.#send(({ write }) => write[field], id, age, [this.#extendedTtlMs, json]);
    this.#cleanUp();
  }

  async subscribe(id: string, uri: string, age: Age): Promise<void> {
    await this.#send(({ subscribe }) => subscribe, id, age, [this.#extendedTtlMs, uri]);
    this.#cleanUp();
  }

  async unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    await this.#send(({ unsubscribe }) => unsubscribe, id, age, [uri]);
  }

  async subscribers(uri: string): Promise<string[]> {
    const rows = await this.#run(
      ({ subscribers }) => subscribers,
      () => [uri],
    );
    return rows.flatMap((row) => columns(row)[0] ?? []);
  }

  async delete(id: string, age: Age): Promise<void> {
    await this.#send(({ delete: statement }) => statement, id, age, [this.#rememberMs]);
    this.#cleanUp();
  }

  /** Reads a session that cannot exist: that needs all tables but one, and the right to use them. */
  async check(): Promise<void> {
    await this.read('');
    await this.subscribers('');
  }

  async close(): Promise<void> {
    await this.#cleaningUp;
    await this.#settings.end();
  }

  /** Removes what expired, in bounded steps. @returns how many sessions, or tombstones, it were */
  async removeExpired(): Promise<number> {
    let removed = 0;
    for (let step = 0; step < CLEAN_UP_STEPS; step += 1) {
      const { removeExpired } = await this.#prepared();
      const [row] = await this.#settings.calls.query(removeExpired);
      const count = Number(columns(row)[0]);
      removed += count;
      if (count < EXPIRED_PER_STEP) break;
    }
    return removed;
  }

  #cleanUp(): void {
    const now = performance.now();
    if (now - this.#cleanedUpAt < CLEAN_UP_EVERY_MS) return;
    this.#cleanedUpAt = now;
    this.#cleaningUp = this.removeExpired().catch((error: unknown) => {
      if (SessionError.is(error)) this.#settings.onError(error);
    });
  }

  /** @param values what the statement takes after those that all writes have */
  async #send(
    choose: (statements: InfoStatements) => string,
    id: string,
    age: Age,
    values: readonly string[],
  ): Promise<void> {
    await this.#clock.send(age, async (date) => {
      const [row] = await this.#run(choose, () => {
        const { age: microseconds, latest } = date();
        return [id, String(microseconds / 1_000), String(latest), ...values];
      });
      const [now, considered] = columns(row);
      return { now: Number(now), considered: considered === '1' };
    });
  }

  /** @param values all but the namespace, which is the first of every statement */
  async #run(
    choose: (statements: InfoStatements) => string,
    values: () => readonly unknown[],
  ): Promise<readonly unknown[]> {
    const withNamespace = (): readonly unknown[] => [this.#settings.namespace, ...values()];
    const prepared = this.#prepared();
    try {
      return await this.#settings.calls.query(choose(await prepared), withNamespace);
    } catch (error) {
      if (!SessionError.is(error) || error.code !== 'schema-missing' || this.#statements !== prepared) throw error;
      // The tables were there and are gone: the database was restored, or replaced.
      this.#statements = undefined;
      return this.#settings.calls.query(choose(await this.#prepared()), withNamespace);
    }
  }

  #prepared(): Promise<InfoStatements> {
    if (this.#statements !== undefined) return this.#statements;
    const prepared = this.#prepare();
    this.#statements = prepared;
    prepared.catch(() => {
      if (this.#statements === prepared) this.#statements = undefined;
    });
    return prepared;
  }

  async #prepare(): Promise<InfoStatements> {
    const { calls, tables, create } = this.#settings;
    const query = (text: string, values: readonly unknown[] = []): Promise<readonly unknown[]> =>
      calls.query(text, () => values, text.startsWith('do ') ? SCHEMA_CHANGE_MS : undefined);
    const schema =
      this.#settings.schema ?? (await findSchema(query, [infoMigrationsTable(tables), ...Object.values(tables)]));
    const names = infoNames(schema, tables);
    await migrate(query, infoMigrations, names, create);
    return infoStatements(names);
  }
}

/** The values of a row, which is an array or an object whose properties stand in the order of the columns. */
function columns(row: unknown): (string | undefined)[] {
  if (typeof row !== 'object' || row === null) return [];
  return Object.values(row).map((value) => (value === null ? undefined : String(value)));
}
