import {
  type AppendAnswer,
  type Backplane,
  type BackplaneLimits,
  type BackplaneListener,
  type Batch,
  type Beat,
  type BeatAnswer,
  type Liveness,
  type LogPage,
  type MaintenanceAnswer,
  type MaintenanceRequest,
  type SearchPage,
  SessionError,
} from '@tmcp/session-manager';
import { appendValues, decodeAppendAnswer } from './append-call.ts';
import type { Row } from './driver.ts';
import { isSchemaMissing, toAppendError } from './errors.ts';
import type { Subscription } from './listener.ts';
import { Maintenance } from './maintenance.ts';
import { checkNamespace, renewEpoch } from './namespace-check.ts';
import { collectArrivals, decodePartRow } from './parts.ts';
import type { PostgresConnection } from './postgres-connection.ts';
import type { StreamNames } from './schema/names.ts';
import { SEARCH_PARTS, type Statements, statements } from './statements.ts';

export type PostgresBackplaneOptions = {
  /** Logs, claims and beats of different namespaces never meet. */
  readonly namespace: string;
  /** What an acknowledged append survives: whatever a commit does, what the disk has got already, nothing. */
  readonly durability: 'commit' | 'async' | 'none';
  /** A node whose beat is older is dead. */
  readonly sessionTimeoutMs: number;
};

/** A beat is due every few seconds: one that takes longer says that the connection is half-open. */
const BEAT_TIMEOUT_MS = 2_000;

/** Deadline of a call that carries a large payload, in call deadlines. */
const LARGE_PATIENCE = 4;

/**
 * One namespace on PostgreSQL. A table is the log; one row per namespace, locked and advanced by each append, gives
 * positions without holes in commit order; each part of a batch also travels in a notification. The table is the
 * truth, notifications only tell sooner what reading it would tell.
 *
 * Beats go over the listening connection, so that they show whether it is alive; while it is down they go over the
 * pool and say so (`lock_key` is null), so that a process that lost only that connection is not taken for dead.
 */
export class PostgresBackplane implements Backplane {
  readonly limits: BackplaneLimits;
  readonly #connection: PostgresConnection;
  readonly #namespace: string;
  readonly #durability: PostgresBackplaneOptions['durability'];
  readonly #sessionTimeoutMs: number;
  readonly #release: () => Promise<void>;
  #maintenance: Maintenance | undefined;
  #subscription: Subscription | undefined;
  #statements: { readonly names: StreamNames; readonly text: Statements } | undefined;
  #channel: string | undefined;
  /** First key of the lock that the listening connection took; another one once the tables were restored from a dump. */
  #lockClass: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(connection: PostgresConnection, options: PostgresBackplaneOptions) {
    this.#connection = connection;
    this.#namespace = options.namespace;
    this.#durability = options.durability;
    this.#sessionTimeoutMs = options.sessionTimeoutMs;
    this.#release = connection.retain();
    this.limits = { partBytes: 7_800, batchBytes: 65_536, keepsLog: options.durability !== 'none' };
  }

  async open(_node: string, listener: BackplaneListener): Promise<void> {
    this.#assertOpen();
    const subscription = this.#subscribe(listener);
    this.#subscription = subscription;
    await this.#connection.listener.subscribe(subscription);
  }

  async beat({ node, cursor, check }: Beat): Promise<BeatAnswer> {
    const { session } = this.#connection.listener;
    const timeoutMs = Math.min(BEAT_TIMEOUT_MS, this.#connection.callTimeoutMs);
    const values = [node, cursor ?? null, check ?? null, session ? this.#connection.lockKey : null];
    const [row = []] = await this.#rows('beat', values, (text, all) =>
      session ? session.query(text, all, timeoutMs) : this.#connection.query(text, all),
    );
    const [epoch, head, trimmed, token, unknown, channel, listens, lockClass, time] = row;
    if (session && (listens !== 't' || channel !== this.#channel || lockClass !== this.#lockClass)) {
      void session.end(new Error('what this connection listens to or has locked is no longer that of this namespace'));
    }
    return {
      epoch: epoch ?? '',
      head: Number(head),
      trimmed: Number(trimmed),
      token: token ?? undefined,
      unknown: unknown === 't',
      time: Number(time),
    };
  }

  async append(batch: Batch): Promise<AppendAnswer> {
    const values = appendValues(batch, this.#durability, this.#connection.callTimeoutMs);
    for (;;) {
      const [row = []] = await this.#query('append', values, (text, all) =>
        this.#connection.queryReadCommitted(text, all),
      ).catch((error: unknown) => {
        throw toAppendError(error);
      });
      if (row[0] !== 'unmarked') return decodeAppendAnswer(row);
      await this.#check();
    }
  }

  async read(after: number): Promise<LogPage> {
    const rows = await this.#rows('read', [after]);
    const [epoch, trimmed] = rows[0] ?? [];
    const stored = rows.filter((row) => row[2] !== null);
    return {
      epoch: epoch ?? '',
      trimmed: Number(trimmed),
      parts: stored.map((row) => decodePartRow(epoch ?? '', row.slice(2))),
    };
  }

  async search(session: string, after: number, upTo: number): Promise<SearchPage> {
    const rows = await this.#rows('search', [after, upTo, JSON.stringify(session)]);
    const [epoch, trimmed] = rows[0] ?? [];
    const stored = rows.filter((row) => row[2] !== null);
    const fitting = stored.filter((row) => row[7] === 't');
    return {
      epoch: epoch ?? '',
      trimmed: Number(trimmed),
      parts: fitting.map((row) => decodePartRow(epoch ?? '', row.slice(2))),
      complete: fitting.length === stored.length && stored.length < SEARCH_PARTS,
    };
  }

  async locate(session: string, heardWithinMs = 0): Promise<Liveness | undefined> {
    const [row] = await this.#query('locate', [session, this.#sessionTimeoutMs, heardWithinMs]);
    return row?.[0] as Liveness | undefined;
  }

  async inspect(node: string, heardWithinMs = 0): Promise<{ liveness: Liveness; cursor: number | undefined }> {
    const [row] = await this.#query('inspect', [node, this.#sessionTimeoutMs, heardWithinMs]);
    if (!row) return { liveness: 'dead', cursor: undefined };
    return { liveness: row[0] as Liveness, cursor: Number(row[1]) };
  }

  async putLarge(id: string, payload: string): Promise<void> {
    await this.#query('putLarge', [id, payload], (text, all) => this.#patiently(text, all)).catch((error: unknown) => {
      throw toAppendError(error);
    });
  }

  async getLarge(id: string): Promise<string | undefined> {
    const [row] = await this.#query('getLarge', [id], (text, all) => this.#patiently(text, all));
    return row?.[0] ?? undefined;
  }

  async maintain(request: MaintenanceRequest): Promise<MaintenanceAnswer> {
    this.#assertOpen();
    const names = await this.#connection.names();
    if (this.#maintenance?.names !== names) {
      this.#maintenance = new Maintenance(this.#connection, names, this.#namespace);
    }
    return this.#maintenance.run(request);
  }

  async renewEpoch(epoch: string): Promise<void> {
    this.#assertOpen();
    const names = await this.#connection.names();
    await this.#connection.calls.transaction((run) => renewEpoch(run, names, this.#namespace, epoch));
  }

  async leave(node: string): Promise<void> {
    await this.#query('leave', [node]);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#subscription) await this.#connection.listener.unsubscribe(this.#subscription);
    await this.#release().catch(() => undefined);
  }

  #subscribe(listener: BackplaneListener): Subscription {
    return {
      prepare: async () => {
        const state = await this.#check();
        this.#lockClass = state.lockClass;
        return state;
      },
      position: async () => Number((await this.#rows('position', []))[0]?.[0]),
      heard: collectArrivals(listener),
      moved: (position) => listener.wake(position),
      up: () => listener.connected(),
      down: (cause) => listener.disconnected(cause),
      report: (error) => listener.report(error),
    };
  }

  /** Creates what is missing, and finds out about crashes and fail-overs. */
  async #check(): Promise<{ channel: string; lockClass: string }> {
    this.#assertOpen();
    const names = await this.#connection.prepare();
    const state = await checkNamespace(this.#connection.calls, names, this.#namespace);
    this.#channel = state.channel;
    return state;
  }

  /** A statement that always answers a row, unless the head of the log is gone: then the log starts anew. */
  async #rows(name: keyof Statements, values: readonly unknown[], run?: RunStatement): Promise<Row[]> {
    const rows = await this.#query(name, values, run);
    if (rows.length > 0) return rows;
    await this.#check();
    return this.#query(name, values, run);
  }

  async #query(
    name: keyof Statements,
    values: readonly unknown[],
    run: RunStatement = (text, all) => this.#connection.query(text, all),
  ): Promise<Row[]> {
    this.#assertOpen();
    const names = await this.#connection.names();
    if (this.#statements?.names !== names) this.#statements = { names, text: statements(names) };
    try {
      return await run(this.#statements.text[name], [this.#namespace, ...values]);
    } catch (error) {
      if (isSchemaMissing(error)) this.#connection.forgetSchema();
      throw error;
    }
  }

  /** Megabytes take their time on slow roads. */
  #patiently(text: string, values: readonly unknown[]): Promise<Row[]> {
    const { calls, callTimeoutMs } = this.#connection;
    return calls.use((run) => run(text, values), LARGE_PATIENCE * callTimeoutMs);
  }

  #assertOpen(): void {
    if (this.#closed) throw new SessionError('closed', 'this session manager was closed');
  }
}

type RunStatement = (text: string, values: readonly unknown[]) => Promise<Row[]>;
