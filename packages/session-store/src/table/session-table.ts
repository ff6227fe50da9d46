import { recordBytes } from '../record-size.ts';
import type {
  FieldName,
  Lifetimes,
  NewRecord,
  PageRequest,
  Patch,
  PatchResult,
  RecordPage,
  SessionKey,
  StoredRecord,
  SweepCounts,
} from '../session-driver.ts';
import { compareText } from '../text.ts';

export type TableEntry = {
  readonly record: StoredRecord;
  readonly lease: { readonly token: string; readonly until: number } | undefined;
};

/**
 * Sessions in memory, by the rules of `SessionDriver`: all that the memory backend has, and what the file backend
 * has of its file. Every method runs to its end without waiting, which makes it atomic.
 *
 * Users and sessions are maps within a map: joined ids could meet, property names could be `__proto__`.
 */
export class SessionTable {
  readonly #users: Map<string, Map<string, TableEntry>> = new Map();
  readonly #lifetimes: Lifetimes;
  /** At least every version of a session that is gone: its successor begins above. */
  #versionFloor = 0;
  /** Rises with every change: the file backend sees by it whether there is anything to write. */
  #changes = 0;

  constructor(lifetimes: Lifetimes) {
    this.#lifetimes = lifetimes;
  }

  /** Shares the entries, which never change, and nothing else. */
  clone(): SessionTable {
    const copy = new SessionTable(this.#lifetimes);
    for (const [userId, sessions] of this.#users) copy.#users.set(userId, new Map(sessions));
    copy.#versionFloor = this.#versionFloor;
    return copy;
  }

  get changes(): number {
    return this.#changes;
  }

  get versionFloor(): number {
    return this.#versionFloor;
  }

  raiseVersionFloor(version: number): void {
    this.#versionFloor = Math.max(this.#versionFloor, version);
  }

  insert(given: NewRecord, now: number): 'ok' | 'exists' {
    const old = this.entry(given);
    if (old !== undefined && this.#isLive(old, now)) return 'exists';
    if (old !== undefined) this.raiseVersionFloor(old.record.version);
    const createdAt = Math.min(given.createdAt, now);
    const { pendingMs, maxPendingMs } = this.#lifetimes;
    const record: StoredRecord = {
      userId: given.userId,
      sessionId: given.sessionId,
      status: given.status,
      createdAt,
      updatedAt: Math.min(given.updatedAt ?? now, now),
      pendingSince: given.status === 'pending' ? createdAt : undefined,
      pendingUntil: createdAt + Math.min(pendingMs, maxPendingMs),
      version: Math.max(now * 1_000, this.#versionFloor + 1),
      fields: given.fields,
    };
    this.put({ record, lease: undefined });
    return 'ok';
  }

  patch(key: SessionKey, patch: Patch, now: number): PatchResult {
    const entry = this.#live(key, now);
    if (entry === undefined) return 'missing';
    const old = entry.record;
    if (patch.ifVersion !== undefined && patch.ifVersion !== old.version) return 'conflict';
    const fields: Partial<Record<FieldName, string>> = { ...old.fields, ...patch.set };
    for (const name of patch.unset) delete fields[name];
    const bytes = patch.maxBytes === undefined ? 0 : recordBytes(key, fields);
    if (bytes > (patch.maxBytes ?? 0) && bytes > recordBytes(key, old.fields)) return { tooLarge: bytes };
    const record = patch.kind === 'rekey' ? { ...old, fields } : this.#changed({ ...old, fields }, patch, now);
    this.put({ ...entry, record });
    return { version: record.version };
  }

  read(key: SessionKey, fields: readonly FieldName[], now: number): StoredRecord | undefined {
    const entry = this.#live(key, now);
    return entry === undefined ? undefined : withFields(entry.record, fields);
  }

  readUser(userId: string, page: PageRequest, now: number): RecordPage {
    const { after, fields, limit } = page;
    const records = [...(this.#users.get(userId)?.values() ?? [])]
      .filter((entry) => this.#isLive(entry, now))
      .map((entry) => entry.record)
      .filter((record) => after === undefined || inListOrder(after, record) < 0)
      .sort(inListOrder);
    return {
      records: records.slice(0, limit).map((record) => withFields(record, fields)),
      more: records.length > limit,
    };
  }

  listIds(userId: string, now: number): string[] {
    return [...(this.#users.get(userId) ?? [])]
      .filter(([, entry]) => this.#isLive(entry, now))
      .map(([sessionId]) => sessionId)
      .sort(compareText);
  }

  remove(key: SessionKey, ifVersion: number | undefined, now: number): 'ok' | 'missing' | 'conflict' {
    const entry = this.entry(key);
    if (entry === undefined) return 'missing';
    const live = this.#isLive(entry, now);
    if (live && ifVersion !== undefined && ifVersion !== entry.record.version) return 'conflict';
    // An expired one was not there, yet its secrets need not wait for the next sweep.
    this.#drop(entry.record);
    return live ? 'ok' : 'missing';
  }

  acquireLease(key: SessionKey, token: string, ttlMs: number, now: number): { version: number } | 'missing' | 'held' {
    const entry = this.#live(key, now);
    if (entry === undefined) return 'missing';
    if (this.isHeldByOthers(key, token, now)) return 'held';
    const { record } = entry;
    this.put({ record, lease: { token, until: now + ttlMs } });
    return { version: record.version };
  }

  isHeldByOthers(key: SessionKey, token: string, now: number): boolean {
    const lease = this.#live(key, now)?.lease;
    return lease !== undefined && lease.token !== token && lease.until > now;
  }

  releaseLease(key: SessionKey, token: string): void {
    const entry = this.entry(key);
    if (entry?.lease?.token === token) this.put({ record: entry.record, lease: undefined });
  }

  keys(now: number): SessionKey[] {
    return [...this.entries()]
      .filter((entry) => this.#isLive(entry, now))
      .map(({ record: { userId, sessionId } }) => ({ userId, sessionId }));
  }

  sweep(limit: number, now: number): SweepCounts {
    const counts = { pending: 0, dormant: 0 };
    for (const entry of this.entries()) {
      if (counts.pending + counts.dormant >= limit) break;
      if (this.#isLive(entry, now)) continue;
      this.#drop(entry.record);
      counts[entry.record.status === 'pending' ? 'pending' : 'dormant'] += 1;
    }
    return counts;
  }

  clear(): void {
    for (const entry of this.entries()) this.#drop(entry.record);
  }

  entry({ userId, sessionId }: SessionKey): TableEntry | undefined {
    return this.#users.get(userId)?.get(sessionId);
  }

  *entries(): Iterable<TableEntry> {
    for (const sessions of this.#users.values()) yield* sessions.values();
  }

  put(entry: TableEntry): void {
    const { userId, sessionId } = entry.record;
    const sessions = this.#users.get(userId) ?? new Map<string, TableEntry>();
    this.#users.set(userId, sessions.set(sessionId, entry));
    this.#changes += 1;
  }

  #drop({ userId, sessionId, version }: StoredRecord): void {
    const sessions = this.#users.get(userId);
    sessions?.delete(sessionId);
    if (sessions?.size === 0) this.#users.delete(userId);
    this.raiseVersionFloor(version);
    this.#changes += 1;
  }

  /** A change or a touch moves the deadline; a change also raises the version. */
  #changed(record: StoredRecord, patch: Patch, now: number): StoredRecord {
    const { pendingMs, maxPendingMs } = this.#lifetimes;
    const status = patch.status ?? record.status;
    const becamePending = status === 'pending' && record.status !== 'pending';
    const pendingSince = becamePending ? now : record.pendingSince;
    const pendingUntil =
      status === 'pending'
        ? Math.min(now + pendingMs, (pendingSince ?? record.createdAt) + maxPendingMs)
        : record.pendingUntil;
    const version = patch.kind === 'content' ? record.version + 1 : record.version;
    return { ...record, status, updatedAt: now, pendingSince, pendingUntil, version };
  }

  #live(key: SessionKey, now: number): TableEntry | undefined {
    const entry = this.entry(key);
    return entry !== undefined && this.#isLive(entry, now) ? entry : undefined;
  }

  #isLive({ record }: TableEntry, now: number): boolean {
    return record.status === 'pending' ? record.pendingUntil > now : record.updatedAt + this.#lifetimes.dormantMs > now;
  }
}

type ListPosition = Pick<StoredRecord, 'createdAt' | 'sessionId'>;

function inListOrder(a: ListPosition, b: ListPosition): number {
  return a.createdAt - b.createdAt || compareText(a.sessionId, b.sessionId);
}

function withFields(record: StoredRecord, names: readonly FieldName[]): StoredRecord {
  const wanted = names.flatMap((name) => {
    const text = record.fields[name];
    return text === undefined ? [] : [[name, text] as const];
  });
  return { ...record, fields: Object.fromEntries(wanted) };
}
