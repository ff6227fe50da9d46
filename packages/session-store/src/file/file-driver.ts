import type { DriverContext } from '../backend-options.ts';
import { Deadline } from '../deadline.ts';
import type { SessionStoreError, WriteOutcome } from '../errors.ts';
import type {
  FieldName,
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
import { timedOut, unavailable } from '../session-errors.ts';
import type { SessionTable } from '../table/session-table.ts';
import { fileFailure } from './file-failure.ts';
import { type FileLock, lockFile } from './file-lock.ts';
import { nodeModules } from './node-modules.ts';
import { corrupt, readDocument, writeDocument } from './session-document.ts';
import { type FileStamp, SessionFile } from './session-file.ts';

const SHORTEST_STALE_MS = 2_000;
const LONGEST_STALE_MS = 10_000;

type Change = {
  readonly operation: string;
  readonly deadline: Deadline;
  /** @returns how the caller is told, once the change is on the disk */
  readonly apply: (table: SessionTable, now: number) => () => void;
  readonly reject: (error: SessionStoreError) => void;
};

type Version = { readonly table: SessionTable; readonly stamp: FileStamp | undefined };

/**
 * Sessions in one JSON file, for the processes of one machine. Reads take no lock: they look whether the file is another
 * than the one they know. Changes wait for the lock, all that came meanwhile are written together, and callers are
 * told when their change is on the disk. Not for network file systems.
 */
export class FileDriver implements SessionDriver {
  readonly backend = 'file';
  readonly #path: string;
  readonly #context: DriverContext;
  readonly #now: () => number;
  readonly #staleMs: number;
  #file: SessionFile | undefined;
  #version: Version | undefined;
  #waiting: Change[] = [];
  #writing: Promise<void> | undefined;

  constructor(path: string, context: DriverContext, now: () => number) {
    this.#path = path;
    this.#context = context;
    this.#now = now;
    // Who waits has to outlive the lock of a writer that died.
    this.#staleMs = Math.min(LONGEST_STALE_MS, Math.max(SHORTEST_STALE_MS, Math.floor(context.operationTimeoutMs / 2)));
  }

  async init(): Promise<void> {
    const node = await nodeModules();
    this.#file ??= await this.#guard('init', undefined, () => SessionFile.open(node, this.#path));
    await this.#read('init');
  }

  insert(record: NewRecord): Promise<'ok' | 'exists'> {
    return this.#change('create', (table, now) => table.insert(record, now));
  }

  patch(key: SessionKey, patch: Patch): Promise<PatchResult> {
    return this.#change('update', (table, now) => table.patch(key, patch, now));
  }

  async read(key: SessionKey, fields: readonly FieldName[]): Promise<StoredRecord | undefined> {
    return (await this.#read('get')).read(key, fields, this.#now());
  }

  async readUser(userId: string, page: PageRequest): Promise<RecordPage> {
    return (await this.#read('list')).readUser(userId, page, this.#now());
  }

  async listIds(userId: string): Promise<string[]> {
    return (await this.#read('listIds')).listIds(userId, this.#now());
  }

  remove(key: SessionKey, ifVersion?: number): Promise<'ok' | 'missing' | 'conflict'> {
    return this.#change('delete', (table, now) => table.remove(key, ifVersion, now));
  }

  async acquireLease(key: SessionKey, token: string, ttlMs: number): Promise<{ version: number } | 'missing' | 'held'> {
    // Many wait and ask again and again: only one of them finds it free, and needs the lock of the file.
    const { table: stored } = await this.#guard('withLock', 'not-applied', () => this.#latest());
    if (stored.isHeldByOthers(key, token, this.#now())) return 'held';
    return this.#change('withLock', (table, now) => table.acquireLease(key, token, ttlMs, now));
  }

  releaseLease(key: SessionKey, token: string): Promise<void> {
    return this.#change('withLock', (table) => table.releaseLease(key, token));
  }

  async *scan(operation: string = 'listAllIds'): AsyncIterable<SessionKey> {
    yield* (await this.#read(operation)).keys(this.#now());
  }

  sweep(limit: number): Promise<SweepCounts> {
    return this.#change('sweep', (table, now) => table.sweep(limit, now));
  }

  clear(): Promise<void> {
    return this.#change('clearAll', (table) => table.clear());
  }

  async ping(): Promise<readonly string[]> {
    await this.#read('health');
    await this.#guard('health', undefined, () => this.#opened.assertWritable());
    return [];
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#version = undefined;
  }

  get #opened(): SessionFile {
    if (this.#file === undefined) throw unavailable('file', 'init');
    return this.#file;
  }

  /** What the file holds now. */
  async #read(operation: string): Promise<SessionTable> {
    return (await this.#guard(operation, undefined, () => this.#latest())).table;
  }

  async #latest(): Promise<Version> {
    const known = this.#version;
    const content = await this.#opened.readUnless(known?.stamp);
    if (content === undefined && known !== undefined) return known;
    const { text, stamp, changedAt } = content ?? { text: '', stamp: undefined, changedAt: 0 };
    if (text === undefined) throw corrupt('it is not UTF-8');
    const version = { table: readDocument(text, this.#context, changedAt), stamp };
    if (stamp !== undefined && (await this.#opened.makePrivate())) {
      this.#context.report.warn('The session file was open to others: its mode was set to 0600');
    }
    this.#version = version;
    return version;
  }

  #change<T>(operation: string, apply: (table: SessionTable, now: number) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      // A little less than the caller has: who is told by us knows that nothing was changed.
      const deadline = new Deadline(0.95 * this.#context.operationTimeoutMs);
      const applyAndAnswer: Change['apply'] = (table, now) => {
        const result = apply(table, now);
        return () => resolve(result);
      };
      this.#waiting.push({ operation, deadline, apply: applyAndAnswer, reject });
      this.#writing ??= this.#writeAll().finally(() => {
        this.#writing = undefined;
      });
    });
  }

  /** Never rejects: every change is answered by itself. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      // The first one has waited longest: what it cannot have in time, none of this round can.
      const deadline = this.#waiting[0]?.deadline ?? new Deadline(0);
      let lock: FileLock | undefined;
      try {
        const node = await nodeModules();
        lock = await lockFile(node, this.#opened.path, this.#staleMs, deadline);
        if (lock === undefined) this.#rejectLate();
        else await this.#writeRound(lock, deadline);
      } catch (cause) {
        for (const change of this.#waiting.splice(0))
          change.reject(this.#failure(change.operation, 'not-applied', cause));
      }
      await lock?.release().catch((cause: unknown) => {
        // The next writer takes it for that of a dead process, which costs time and nothing else.
        this.#context.report.error(unavailable('file', 'unlock', { cause }));
      });
    }
  }

  /** Writes what waits now, and starts anew as long as others get in between. */
  async #writeRound(lock: FileLock, deadline: Deadline): Promise<void> {
    const draft = await this.#opened.draft();
    let round: Change[] = [];
    let renamed = false;
    try {
      const before = await this.#latest();
      this.#rejectLate();
      round = this.#waiting.splice(0);
      const table = before.table.clone();
      const now = this.#now();
      const answers = round.map((change) => change.apply(table, now));
      if (table.changes > 0) {
        const stamp = lock.lost ? undefined : await draft.commit(writeDocument(table), before.stamp, deadline);
        if (stamp === undefined) {
          this.#waiting.unshift(...round);
          return;
        }
        renamed = true;
        this.#version = { table, stamp };
        await this.#opened.syncFolder();
      }
      for (const answer of answers) answer();
    } catch (cause) {
      if (round.length === 0) throw cause;
      const outcome = renamed ? 'unknown' : 'not-applied';
      for (const change of round) change.reject(this.#failure(change.operation, outcome, cause));
    } finally {
      await draft.discard();
    }
  }

  #rejectLate(): void {
    const late = this.#waiting.filter((change) => change.deadline.passed);
    this.#waiting = this.#waiting.filter((change) => !change.deadline.passed);
    for (const { operation, reject } of late) {
      reject(timedOut('file', operation, this.#context.operationTimeoutMs, { outcome: 'not-applied' }));
    }
  }

  async #guard<T>(operation: string, outcome: WriteOutcome | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw this.#failure(operation, outcome, cause);
    }
  }

  #failure(operation: string, outcome: WriteOutcome | undefined, cause: unknown): SessionStoreError {
    return fileFailure(this.#file?.path ?? this.#path, operation, outcome, cause);
  }
}
