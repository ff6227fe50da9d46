import type { DriverContext } from '../backend-options.ts';
import { idBytes } from '../record-size.ts';
import type {
  FieldName,
  Lifetimes,
  NewRecord,
  PageRequest,
  Patch,
  PatchResult,
  RecordPage,
  SessionDriver,
  SessionKey,
  StoredRecord,
  SweepCounts,
} from '../session-driver.ts';
import { readFailure } from './driver-failure.ts';
import { insertStatement, ownRowStatement } from './insert-statement.ts';
import type { TableNames } from './names.ts';
import { listIdsStatement, readStatement, readUserStatement, scanStatement, toRecord } from './read-statements.ts';
import { type Call, SqlCalls, type SqlSettings } from './sql-calls.ts';
import type { Row } from './statement.ts';
import { failureOutcome } from './to-store-error.ts';
import {
  acquireStatement,
  clearStatement,
  patchStatement,
  releaseStatement,
  removeStatement,
  sweepStatement,
} from './write-statements.ts';

/** Keys that one statement of `scan` reads. */
const SCAN_KEYS = 5_000;

const reading = (name: string): Call => ({ name, right: 'select', repeatable: true });

/**
 * Sessions in the documented table, one row each. Every operation is one statement, in tenant mode one transaction,
 * and the clock of the server judges. Nothing is kept here between two calls, and nothing was opened that would have
 * to be closed: clients belong to whoever made them.
 */
export class SqlSessionDriver implements SessionDriver {
  readonly backend: string;
  readonly #names: TableNames;
  readonly #lifetimes: Lifetimes;
  readonly #calls: SqlCalls;

  constructor(settings: SqlSettings, context: DriverContext) {
    this.backend = settings.backend;
    this.#names = settings.names;
    this.#lifetimes = context;
    this.#calls = new SqlCalls(settings, context);
  }

  init(): Promise<void> {
    return this.#calls.checkSchema('init');
  }

  insert(record: NewRecord): Promise<'ok' | 'exists'> {
    const id = crypto.randomUUID();
    const insert = insertStatement(this.#names, this.#lifetimes, record, id);
    const ownRow = ownRowStatement(this.#names, record, id);
    return this.#calls.attempts({ name: 'create', right: 'insert', repeatable: false }, async (run) => {
      try {
        const rows = await run(record.userId, insert);
        return rows.length === 1 ? 'ok' : 'exists';
      } catch (error) {
        const failure = readFailure(error);
        if (failure.state === '23505') return 'exists';
        if (failureOutcome(failure) === 'not-applied') throw error;
        // The answer was lost. Its own row proves that it was stored; no row proves nothing, for it may still come.
        const [row] = await run(record.userId, ownRow).catch(() => {
          throw error;
        });
        if (row?.own === 'true') return 'ok';
        throw error;
      }
    });
  }

  patch(key: SessionKey, patch: Patch): Promise<PatchResult> {
    const name = patch.kind === 'content' ? 'update' : patch.kind;
    const call: Call = { name, right: 'update', repeatable: patch.kind === 'touch' };
    const statement = patchStatement(this.#names, this.#lifetimes, key, patch);
    return this.#calls.attempts(call, async (run) => {
      for (;;) {
        const [row] = await run(key.userId, statement);
        const version = versionOf(row);
        if (version !== undefined) return { version };
        if (row?.found !== 'true') return 'missing';
        if (row.other === 'true') return 'conflict';
        if (typeof row.large === 'string') return { tooLarge: idBytes(key) + Number(row.large) };
        // Nothing was against it at first: others changed or removed the row before this statement had it.
        if (patch.ifVersion !== undefined) return 'conflict';
      }
    });
  }

  async read(key: SessionKey, fields: readonly FieldName[]): Promise<StoredRecord | undefined> {
    const statement = readStatement(this.#names, this.#lifetimes, key, fields);
    const [row] = await this.#calls.forUser(reading('get'), key.userId, statement);
    return row === undefined ? undefined : toRecord(key.userId, row, fields);
  }

  async readUser(userId: string, page: PageRequest): Promise<RecordPage> {
    const statement = readUserStatement(this.#names, this.#lifetimes, userId, page);
    const rows = await this.#calls.forUser(reading('list'), userId, statement);
    const records = rows.map((row) => toRecord(userId, row, page.fields));
    return { records, more: Number(rows[0]?.total ?? 0) > rows.length };
  }

  async listIds(userId: string): Promise<string[]> {
    const statement = listIdsStatement(this.#names, this.#lifetimes, userId);
    const rows = await this.#calls.forUser(reading('listIds'), userId, statement);
    return rows.map(({ sid }) => String(sid));
  }

  async remove(key: SessionKey, ifVersion?: number): Promise<'ok' | 'missing' | 'conflict'> {
    const call: Call = { name: 'delete', right: 'delete', repeatable: true };
    const statement = removeStatement(this.#names, this.#lifetimes, key, ifVersion);
    const [row] = await this.#calls.forUser(call, key.userId, statement);
    if (row?.found !== 'true') return 'missing';
    if (versionOf(row) !== undefined) return 'ok';
    return ifVersion === undefined ? 'missing' : 'conflict';
  }

  async acquireLease(
    key: SessionKey,
    token: string,
    ttlMs: number,
  ): Promise<{ readonly version: number } | 'missing' | 'held'> {
    const call: Call = { name: 'withLock', right: 'update', repeatable: true };
    const statement = acquireStatement(this.#names, this.#lifetimes, key, token, ttlMs);
    const [row] = await this.#calls.forUser(call, key.userId, statement);
    const version = versionOf(row);
    if (version !== undefined) return { version };
    return row?.found === 'true' ? 'held' : 'missing';
  }

  async releaseLease(key: SessionKey, token: string): Promise<void> {
    const call: Call = { name: 'withLock', right: 'update', repeatable: true };
    await this.#calls.forUser(call, key.userId, releaseStatement(this.#names, key, token));
  }

  async *scan(operation: string = 'listAllIds'): AsyncIterable<SessionKey> {
    let after: SessionKey | undefined;
    do {
      const statement = scanStatement(this.#names, this.#lifetimes, after, SCAN_KEYS);
      const rows = await this.#calls.forAll(reading(operation), statement);
      const keys = rows.map(({ uid, sid }) => ({ userId: String(uid), sessionId: String(sid) }));
      yield* keys;
      after = keys.length < SCAN_KEYS ? undefined : keys.at(-1);
    } while (after !== undefined);
  }

  async sweep(limit: number): Promise<SweepCounts> {
    // Not repeated: what the lost answer of the first try counted would be missing.
    const call: Call = { name: 'sweep', right: 'delete', repeatable: false };
    const [row] = await this.#calls.forAll(call, sweepStatement(this.#names, this.#lifetimes, limit));
    return { pending: Number(row?.pending ?? 0), dormant: Number(row?.dormant ?? 0) };
  }

  async clear(): Promise<void> {
    await this.#calls.forAll({ name: 'clearAll', right: 'delete', repeatable: true }, clearStatement(this.#names));
  }

  async ping(): Promise<readonly string[]> {
    await this.#calls.checkSchema('health');
    return [];
  }

  async close(): Promise<void> {}
}

function versionOf(row: Row | undefined): number | undefined {
  return typeof row?.version === 'string' ? Number(row.version) : undefined;
}
