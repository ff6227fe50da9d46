import type { SessionStoreErrorCode } from './errors.ts';
import type { MutationListener } from './mutations.ts';
import type { OAuthState, OAuthTokens, Session, SessionCredentials } from './session.ts';

export type Guard = {
  /** The write is refused with `conflict` when the session has another version. */
  readonly ifVersion?: number | undefined;
};

export type Reveal = {
  /** Tokens, client registration, verifier, client id and OAuth state are left out unless this is true. @default false */
  readonly includeCredentials?: boolean | undefined;
};

export type LockOptions = {
  /** A holder that died keeps others waiting so long. @default 20_000 */
  readonly ttlMs?: number | undefined;
  /** How long the lock is waited for. @default 30_000 */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** Held for as long as `signal` is not aborted. */
export type Lease = { readonly signal: AbortSignal; readonly version: number };

export type RefreshedTokens = {
  readonly tokens: OAuthTokens;
  /** `adopted`: another process had refreshed them already. */
  readonly source: 'refreshed' | 'adopted';
  /** False when the new tokens could not be stored: the old ones are spent, keep these. */
  readonly stored: boolean;
};

export type StoreHealth = {
  readonly ok: boolean;
  readonly backend: string;
  readonly latencyMs: number;
  readonly error?: SessionStoreErrorCode | undefined;
  readonly warnings: readonly string[];
};

/** Durable sessions and OAuth credentials of MCP clients. Every backend is one, and so is the global `sessions`. */
export interface SessionStore {
  /** Connects and checks that everything is in place. Calls do it by themselves; this is to fail early. */
  init(): Promise<void>;

  /** An unguessable id: one letter and 22 letters and digits. */
  generateSessionId(): string;

  /** @throws SessionStoreError `exists`, `validation` */
  create(session: Session): Promise<void>;

  /** Merges whole fields: `undefined` leaves one, `null` clears it. @throws SessionStoreError `not_found`, `conflict` */
  update(userId: string, sessionId: string, data: Partial<Session>, guard?: Guard): Promise<void>;

  /** Keeps a session alive without changing it. @throws SessionStoreError `not_found` */
  touch(userId: string, sessionId: string): Promise<void>;

  get(userId: string, sessionId: string, reveal?: Reveal): Promise<Session | null>;

  /** All sessions of a user, by `createdAt`, then `sessionId`. */
  list(userId: string, reveal?: Reveal): Promise<Session[]>;

  /** The same in pages. @param page `limit` 1 to 1,000, default 100; `cursor` of the page before */
  listPage(
    userId: string,
    page: Reveal & { readonly limit?: number | undefined; readonly cursor?: string | undefined },
  ): Promise<{ sessions: Session[]; nextCursor: string | null }>;

  listIds(userId: string): Promise<string[]>;

  /** Idempotent. Credentials and lock go with it. @throws SessionStoreError `conflict` */
  delete(userId: string, sessionId: string, guard?: Guard): Promise<void>;

  getCredentials(
    userId: string,
    sessionId: string,
  ): Promise<(SessionCredentials & { readonly version: number }) | null>;

  /** `null` clears a field, `undefined` leaves it. @throws SessionStoreError `not_found`, `conflict` */
  patchCredentials(userId: string, sessionId: string, credentials: SessionCredentials, guard?: Guard): Promise<void>;

  clearCredentials(userId: string, sessionId: string, guard?: Guard): Promise<void>;

  /** The stored state to one caller who names its nonce within 10 minutes; to all others `null`. */
  consumeOAuthState(userId: string, sessionId: string, nonce: string): Promise<OAuthState | null>;

  /** Runs a function while no other process holds the lock of this session. @throws SessionStoreError `locked`, `lock_lost` */
  withLock<T>(userId: string, sessionId: string, run: (lease: Lease) => Promise<T>, options?: LockOptions): Promise<T>;

  /** Refreshes tokens so that exactly one process presents a refresh token. */
  refreshTokens(
    userId: string,
    sessionId: string,
    refresh: (current: Session, context: { readonly signal: AbortSignal }) => Promise<OAuthTokens>,
    options?: { readonly staleAccessToken?: string | undefined },
  ): Promise<RefreshedTokens>;

  /** Ids of all live sessions of all users (admin operation). */
  listAllIds(): Promise<string[]>;
  iterateAllIds(): AsyncIterable<string>;

  /** Removes everything (admin operation). */
  clearAll(): Promise<void>;

  /** Removes expired pending and dormant active sessions. They are invisible before. */
  cleanupExpired(): Promise<void>;
  sweep(options?: { readonly batch?: number | undefined }): Promise<{ pending: number; dormant: number }>;

  /** Encrypts everything with the newest key. May be repeated, and interrupted. */
  rekey(): Promise<{ rewritten: number }>;

  /**
   * Tells of each change that is made through this store and acknowledged by its backend: not of those of other processes,
   * nor of sessions that end by themselves.
   *
   * @returns ends it
   */
  onMutation(listener: MutationListener): () => void;

  /** Never rejects. */
  health(): Promise<StoreHealth>;

  /** Closes what was opened. Idempotent. */
  disconnect(): Promise<void>;
}
