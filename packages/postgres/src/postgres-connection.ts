import { createHash } from 'node:crypto';
import { SessionError } from '@tmcp/session-manager';
import { createClient, createClientLike, type DriverPool, type Row, runQuery } from './driver.ts';
import { sqlState } from './errors.ts';
import { PostgresListener } from './listener.ts';
import { type ConnectionSettings, type PostgresConnectionOptions, readConnectionOptions } from './options.ts';
import { PoolCalls, withDeadline } from './pool-calls.ts';
import { randomKey } from './random.ts';
import { migrate } from './schema/migrate.ts';
import { findSchema, type StreamNames, streamNames } from './schema/names.ts';
import { streamMigrations } from './schema/stream-migrations.ts';

/**
 * The connections of one process: a pool for calls, and one connection that listens. All managers and namespaces of a
 * process share it; it ends what it opened when the last of them has released it. Nothing connects before the first
 * call.
 */
export class PostgresConnection {
  readonly calls: PoolCalls;
  readonly listener: PostgresListener;
  readonly lockKey: number = randomKey();
  readonly callTimeoutMs: number;
  readonly #settings: ConnectionSettings;
  #users = 0;
  #closing: Promise<void> | undefined;
  #names: Promise<StreamNames> | undefined;
  /** No pooler is in the way, so a statement that was prepared is still there at the next call. */
  #keepsStatements = false;
  /** Transactions of the pool have a snapshot of their own for each statement, as appends need it. */
  #isReadCommitted = false;

  /** @param owner name of the class that the options were given to, for messages */
  constructor(options: PostgresConnectionOptions, owner = 'PostgresConnection') {
    this.#settings = readConnectionOptions(owner, options);
    const { pool, listenConnectionString, callTimeoutMs } = this.#settings;
    this.callTimeoutMs = callTimeoutMs;
    this.calls = new PoolCalls(pool, callTimeoutMs);
    this.listener = new PostgresListener({
      timeoutMs: callTimeoutMs,
      lockKey: this.lockKey,
      connect: () =>
        listenConnectionString === undefined
          ? createClientLike(pool, callTimeoutMs)
          : createClient(listenConnectionString, callTimeoutMs),
      notify: async (channel, payload) => {
        await this.calls.query('select pg_notify($1, $2)', [channel, payload]);
      },
    });
  }

  /** The pool that calls go over. */
  get pool(): DriverPool {
    return this.#settings.pool;
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

  /** Looks at the server, brings the schema up to date, and answers the names of the tables. */
  async prepare(): Promise<StreamNames> {
    await this.#inspectServer();
    this.#names ??= this.#migrate();
    return this.names();
  }

  /** The names of the tables; prepares them when that has not been done. */
  async names(): Promise<StreamNames> {
    const names = this.#names;
    if (!names) return this.prepare();
    try {
      return await names;
    } catch (error) {
      if (this.#names === names) this.#names = undefined;
      throw error;
    }
  }

  /** One statement in a transaction of its own, prepared once per connection where that is possible. */
  async query(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.calls.query(text, values, this.#keepsStatements ? statementName(text) : undefined);
    } catch (error) {
      if (!this.#keepsStatements || !STATEMENT_IS_STALE.has(sqlState(error) ?? '')) throw error;
      this.#keepsStatements = false;
      return this.calls.query(text, values);
    }
  }

  /** The same under READ COMMITTED, whatever the default of the pool is. */
  async queryReadCommitted(text: string, values: readonly unknown[]): Promise<Row[]> {
    if (this.#isReadCommitted) return this.query(text, values);
    return this.calls.transaction((run) => run(text, values));
  }

  /** The tables are gone: the next call looks for them again, and creates them if it may. */
  forgetSchema(): void {
    this.#names = undefined;
  }

  async #inspectServer(): Promise<void> {
    const { row, processID } = await this.calls.use(async (_, client) => {
      const [row] = await runQuery(
        client,
        `select current_setting('server_version_num'), current_setting('server_encoding'),
           current_setting('default_transaction_isolation'), pg_backend_pid()`,
      );
      return { row, processID: client.processID };
    });
    const [version, encoding, isolation, pid] = row ?? [];
    if (Number(version) < 130_000) throw new SessionError('refused', 'PostgreSQL 13 or newer is needed');
    if (encoding !== 'UTF8') {
      throw new SessionError('configuration', 'the database must have the encoding UTF8: others lose characters');
    }
    this.#isReadCommitted = isolation === 'read committed';
    // A pooler announces a number of its own.
    this.#keepsStatements = Number(pid) === processID;
  }

  async #migrate(): Promise<StreamNames> {
    const { tableName, create, schema } = this.#settings;
    const query = (text: string, values?: readonly unknown[]): Promise<Row[]> => this.calls.query(text, values);
    const names = streamNames(schema ?? (await findSchema(query, [`${tableName}_migrations`, tableName])), tableName);
    await migrate(query, streamMigrations, names, create);
    return names;
  }

  async #release(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    const { pool, ownsPool, callTimeoutMs } = this.#settings;
    if (!ownsPool) return this.calls.detach();
    // Ends when the last call has given its connection back, which has a deadline.
    await withDeadline(callTimeoutMs, performance.now() + callTimeoutMs, pool.end()).catch(() => undefined);
  }
}

/** A pooler after all (it is on another connection, or there already), or the schema was updated meanwhile. */
const STATEMENT_IS_STALE: ReadonlySet<string> = new Set(['26000', '42P05', '0A000']);

const statementNames = new Map<string, string>();

/** Pools are shared with statements of others, and a name stands for one text only. */
function statementName(text: string): string {
  let name = statementNames.get(text);
  if (name === undefined) {
    name = `tmcp_${createHash('sha256').update(text).digest('base64url').slice(0, 24)}`;
    statementNames.set(text, name);
  }
  return name;
}
