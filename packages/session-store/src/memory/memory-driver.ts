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
import { SessionTable } from '../table/session-table.ts';

/** Keeps sessions in this process. What is stored are texts, so nothing handed in or out can be changed later. */
export class MemoryDriver implements SessionDriver {
  readonly backend = 'memory';
  readonly #table: SessionTable;
  readonly #now: () => number;

  constructor(lifetimes: Lifetimes, now: () => number) {
    this.#table = new SessionTable(lifetimes);
    this.#now = now;
  }

  async init(): Promise<void> {}

  async insert(record: NewRecord): Promise<'ok' | 'exists'> {
    return this.#table.insert(record, this.#now());
  }

  async patch(key: SessionKey, patch: Patch): Promise<PatchResult> {
    return this.#table.patch(key, patch, this.#now());
  }

  async read(key: SessionKey, fields: readonly FieldName[]): Promise<StoredRecord | undefined> {
    return this.#table.read(key, fields, this.#now());
  }

  async readUser(userId: string, page: PageRequest): Promise<RecordPage> {
    return this.#table.readUser(userId, page, this.#now());
  }

  async listIds(userId: string): Promise<string[]> {
    return this.#table.listIds(userId, this.#now());
  }

  async remove(key: SessionKey, ifVersion?: number): Promise<'ok' | 'missing' | 'conflict'> {
    return this.#table.remove(key, ifVersion, this.#now());
  }

  async acquireLease(key: SessionKey, token: string, ttlMs: number): Promise<{ version: number } | 'missing' | 'held'> {
    return this.#table.acquireLease(key, token, ttlMs, this.#now());
  }

  async releaseLease(key: SessionKey, token: string): Promise<void> {
    this.#table.releaseLease(key, token);
  }

  async *scan(): AsyncIterable<SessionKey> {
    yield* this.#table.keys(this.#now());
  }

  async sweep(limit: number): Promise<SweepCounts> {
    return this.#table.sweep(limit, this.#now());
  }

  async clear(): Promise<void> {
    this.#table.clear();
  }

  async ping(): Promise<readonly string[]> {
    return [];
  }

  async close(): Promise<void> {
    this.#table.clear();
  }
}
