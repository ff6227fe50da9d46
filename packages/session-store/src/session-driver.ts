/** A session is addressed by this pair, never by a joined text. */
export type SessionKey = { readonly userId: string; readonly sessionId: string };

/**
 * A session as a driver stores it. Fields are opaque texts: JSON, or the envelope of an encrypted JSON. A driver
 * knows nothing about OAuth, keys or encryption; it keeps a pending session from the other by `status` alone.
 */
export type StoredRecord = SessionKey & {
  readonly status: 'pending' | 'active';
  /** Milliseconds since 1970, by the clock of the store. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** When it became pending; `undefined` for one that never was. */
  readonly pendingSince: number | undefined;
  /** When a pending session ends. Not used for active ones. */
  readonly pendingUntil: number;
  /**
   * Above every version that this pair of ids ever had, deleted sessions included: the clock of the store in
   * microseconds does that (milliseconds do not: a burst of changes runs ahead of them). Then one more per change.
   */
  readonly version: number;
  readonly fields: Readonly<Partial<Record<FieldName, string>>>;
};

/**
 * Everything of a session that is stored as an opaque text. Fields of the type text are JSON strings as well; no value
 * begins with `mcpenc:` unless it is an envelope, so that a driver may keep the bare text in a text column.
 */
export type FieldName =
  | 'serverId'
  | 'serverName'
  | 'serverUrl'
  | 'callbackUrl'
  | 'transportType'
  | 'headers'
  | 'authUrl'
  | 'metadata'
  | 'clientInformation'
  | 'tokens'
  | 'codeVerifier'
  | 'clientId'
  | 'oauthState';

/** What is inserted. Moments of the caller are kept, but never later than the clock of the store. */
export type NewRecord = SessionKey & {
  readonly status: 'pending' | 'active';
  readonly createdAt: number;
  readonly updatedAt: number | undefined;
  readonly fields: StoredRecord['fields'];
};

/** How long sessions live. The same for all calls of one driver. */
export type Lifetimes = {
  /** A pending session ends so long after its creation, or after its last change. */
  readonly pendingMs: number;
  /** But never later than this after it became pending. */
  readonly maxPendingMs: number;
  /** An active session ends when it was not changed or touched for so long. */
  readonly dormantMs: number;
};

/**
 * - `content`: raises the version and the time of the last change
 * - `touch`: the time of the last change alone
 * - `rekey`: neither
 */
export type PatchKind = 'content' | 'touch' | 'rekey';

export type Patch = {
  readonly kind: PatchKind;
  readonly set: StoredRecord['fields'];
  readonly unset: readonly FieldName[];
  readonly status?: 'pending' | 'active' | undefined;
  readonly ifVersion?: number | undefined;
  /** The record may not grow beyond this. One that is larger already may shrink, and stay as large as it is. */
  readonly maxBytes?: number | undefined;
};

/** `tooLarge`: what the record would have had. The driver counts ids and fields as it stores them. */
export type PatchResult = { readonly version: number } | { readonly tooLarge: number } | 'missing' | 'conflict';

export type PageRequest = {
  readonly fields: readonly FieldName[];
  /** At most so many records; fewer come where the backend bounds its answers by size. */
  readonly limit: number;
  /** The last record of the page before. */
  readonly after: { readonly createdAt: number; readonly sessionId: string } | undefined;
};

export type RecordPage = { readonly records: readonly StoredRecord[]; readonly more: boolean };

export type SweepCounts = { readonly pending: number; readonly dormant: number };

/**
 * What a backend provides to `SessionRepository`, which owns all other rules. Rules that hold for every method:
 *
 * - It is atomic, in one round trip where the backend allows it, and judged by the clock of the store: expired sessions
 *   are not there, whether they were swept or not.
 * - Ids are data: no name, key, pattern or statement is built from them unescaped.
 * - Text order is that of UTF-8 bytes.
 * - It rejects with a `SessionStoreError`; failed writes say whether they can have been applied. It does not retry
 *   what cannot be repeated without harm.
 */
export interface SessionDriver {
  /** `memory`, `file`, `redis`, `postgres`, `neon`: for messages. */
  readonly backend: string;

  /** Connects, and checks that everything it needs is there. May be called again after it rejected. */
  init(): Promise<void>;

  /** Replaces an expired leftover of the same key, under a higher version. */
  insert(record: NewRecord): Promise<'ok' | 'exists'>;

  patch(key: SessionKey, patch: Patch): Promise<PatchResult>;

  /** @param fields the fields that are wanted; the others are absent from the record */
  read(key: SessionKey, fields: readonly FieldName[]): Promise<StoredRecord | undefined>;

  /** Live sessions of a user by `createdAt`, then `sessionId`. */
  readUser(userId: string, page: PageRequest): Promise<RecordPage>;

  /** Ids of the live sessions of a user, sorted. */
  listIds(userId: string): Promise<string[]>;

  /** Removes the record and its lease. `missing` is no failure. */
  remove(key: SessionKey, ifVersion?: number): Promise<'ok' | 'missing' | 'conflict'>;

  /** Keeps others waiting. The same token again extends it. The lease of an expired holder is free. */
  acquireLease(
    key: SessionKey,
    token: string,
    ttlMs: number,
  ): Promise<{ readonly version: number } | 'missing' | 'held'>;

  /** Gives back a lease of this token, and of no other. */
  releaseLease(key: SessionKey, token: string): Promise<void>;

  /** Keys of all live sessions, each once, in no order. @param operation what they are wanted for, in errors */
  scan(operation?: string): AsyncIterable<SessionKey>;

  /** Removes at most `limit` expired sessions. */
  sweep(limit: number): Promise<SweepCounts>;

  /** Removes everything that is ours. */
  clear(): Promise<void>;

  /** Resolves when the backend answers, with what an operator should know about how it is set up. */
  ping(): Promise<readonly string[]>;

  /** Closes what was opened, nothing that was handed in. Idempotent. */
  close(): Promise<void>;
}
