import { BackendConnection } from './backend-connection.ts';
import type { BackendSettings, DriverContext } from './backend-options.ts';
import { assertFunction, readCallOptions } from './call-options.ts';
import type { SessionStoreError } from './errors.ts';
import type { MutationListener } from './mutations.ts';
import { consumeOAuthState } from './oauth-state.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import { tooLarge } from './record-size.ts';
import { rekeyAll } from './rekey.ts';
import type { OAuthState, OAuthTokens, Session, SessionCredentials } from './session.ts';
import type { FieldName, Patch, SessionDriver, SessionKey } from './session-driver.ts';
import { conflict, exists, invalid, notFound } from './session-errors.ts';
import {
  assertComplete,
  assertMoment,
  assertStatus,
  CREDENTIAL_FIELDS,
  encodeFields,
  FIELDS,
  type FieldChanges,
  OPEN_FIELDS,
} from './session-fields.ts';
import { assertIds, assertUserId, generateSessionId } from './session-ids.ts';
import { holdLock } from './session-lock.ts';
import type { Guard, Lease, LockOptions, RefreshedTokens, Reveal, SessionStore, StoreHealth } from './session-store.ts';
import { healthOf } from './store-health.ts';
import { refreshTokens } from './token-refresh.ts';

export type RepositorySettings = BackendSettings & {
  /** Milliseconds since 1970, for backends that have no clock of their own. */
  readonly now?: (() => number) | undefined;
};

const LARGEST_PAGE = 1_000;
const DEFAULT_PAGE = 100;
const DEFAULT_BATCH = 1_000;

/**
 * Sessions on any driver: what may be stored, what is returned, who wins, which error it is. The driver moves opaque
 * texts; whether a session is there, and when it ends, it decides by the clock of its store.
 */
export class SessionRepository implements SessionStore {
  readonly #connection: BackendConnection;
  readonly #now: () => number;

  /** @param makeDriver is called once, and must not connect: the first call does, through `init` of the driver */
  constructor(makeDriver: (context: DriverContext) => SessionDriver, settings: RepositorySettings) {
    this.#connection = new BackendConnection(makeDriver, settings);
    this.#now = settings.now ?? Date.now;
  }

  async init(): Promise<void> {
    await this.#connection.call('init', 'read', async () => undefined);
  }

  generateSessionId(): string {
    return generateSessionId();
  }

  async create(session: Session): Promise<void> {
    const data: Partial<Session> = { ...session };
    const key = keyOf(data.userId, data.sessionId);
    const { set } = encodeFields(session);
    assertComplete(set);
    assertStatus(data.status);
    assertMoment('createdAt', data.createdAt);
    if (data.updatedAt !== undefined) assertMoment('updatedAt', data.updatedAt);
    const { createdAt, updatedAt, status = 'pending' } = session;
    await this.#connection.call('create', 'write', async ({ driver, codec }) => {
      const fields = await codec.seal(key, set);
      const result = await driver.insert({ ...key, status, createdAt, updatedAt, fields });
      if (result === 'exists') throw exists(key.sessionId);
    });
  }

  async update(userId: string, sessionId: string, data: Partial<Session>, guard?: Guard): Promise<void> {
    const key = keyOf(userId, sessionId);
    const changes = encodeFields(data);
    if (data.userId !== undefined && data.userId !== userId) throw unchangeable('userId');
    if (data.sessionId !== undefined && data.sessionId !== sessionId) throw unchangeable('sessionId');
    assertStatus(data.status);
    await this.#patch('update', key, changes, guard, data.status);
  }

  async touch(userId: string, sessionId: string): Promise<void> {
    await this.#patch('touch', keyOf(userId, sessionId), { set: {}, unset: [] });
  }

  async get(userId: string, sessionId: string, reveal?: Reveal): Promise<Session | null> {
    const key = keyOf(userId, sessionId);
    const fields = fieldsFor(readCallOptions(reveal, 'includeCredentials'));
    return this.#connection.call('get', 'read', async ({ driver, codec }) => {
      const record = await driver.read(key, fields);
      return record === undefined ? null : codec.toSession(record);
    });
  }

  async list(userId: string, reveal?: Reveal): Promise<Session[]> {
    const { includeCredentials } = readCallOptions(reveal, 'includeCredentials');
    const all: Session[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#page('list', userId, { includeCredentials, limit: LARGEST_PAGE, cursor });
      all.push(...page.sessions);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    return all;
  }

  async listPage(
    userId: string,
    page?: Reveal & { readonly limit?: number | undefined; readonly cursor?: string | undefined },
  ): Promise<{ sessions: Session[]; nextCursor: string | null }> {
    return this.#page('listPage', userId, readCallOptions(page, 'includeCredentials', 'limit', 'cursor'));
  }

  async listIds(userId: string): Promise<string[]> {
    assertUserId(userId);
    return this.#connection.call('listIds', 'read', ({ driver }) => driver.listIds(userId));
  }

  async delete(userId: string, sessionId: string, guard?: Guard): Promise<void> {
    const key = keyOf(userId, sessionId);
    const { ifVersion } = readCallOptions(guard, 'ifVersion');
    await this.#connection.call('delete', 'write', async ({ driver }) => {
      if ((await driver.remove(key, ifVersion)) === 'conflict') throw conflict(sessionId);
    });
  }

  async getCredentials(
    userId: string,
    sessionId: string,
  ): Promise<(SessionCredentials & { readonly version: number }) | null> {
    const key = keyOf(userId, sessionId);
    return this.#connection.call('getCredentials', 'read', async ({ driver, codec }) => {
      const record = await driver.read(key, CREDENTIAL_FIELDS);
      if (record === undefined) return null;
      const credentials = (await codec.open(record)) as SessionCredentials;
      return { ...credentials, version: record.version };
    });
  }

  async patchCredentials(
    userId: string,
    sessionId: string,
    credentials: SessionCredentials,
    guard?: Guard,
  ): Promise<void> {
    const key = keyOf(userId, sessionId);
    await this.#patch('patchCredentials', key, encodeFields(credentials, CREDENTIAL_FIELDS), guard);
  }

  async clearCredentials(userId: string, sessionId: string, guard?: Guard): Promise<void> {
    const key = keyOf(userId, sessionId);
    await this.#patch('clearCredentials', key, { set: {}, unset: CREDENTIAL_FIELDS }, guard);
  }

  async consumeOAuthState(userId: string, sessionId: string, nonce: string): Promise<OAuthState | null> {
    const key = keyOf(userId, sessionId);
    if (typeof nonce !== 'string') throw invalid('The nonce must be text');
    return consumeOAuthState(this.#connection, key, nonce, this.#now);
  }

  async withLock<T>(
    userId: string,
    sessionId: string,
    run: (lease: Lease) => Promise<T>,
    options?: LockOptions,
  ): Promise<T> {
    const key = keyOf(userId, sessionId);
    assertFunction('The work under the lock', run);
    return holdLock(this.#connection, key, readCallOptions(options, 'ttlMs', 'waitMs', 'signal'), run);
  }

  async refreshTokens(
    userId: string,
    sessionId: string,
    refresh: (current: Session, context: { readonly signal: AbortSignal }) => Promise<OAuthTokens>,
    options?: { readonly staleAccessToken?: string | undefined },
  ): Promise<RefreshedTokens> {
    const key = keyOf(userId, sessionId);
    assertFunction('What refreshes the tokens', refresh);
    const { staleAccessToken } = readCallOptions(options, 'staleAccessToken');
    return refreshTokens(this.#connection, key, refresh, staleAccessToken);
  }

  async listAllIds(): Promise<string[]> {
    const ids: string[] = [];
    for await (const id of this.iterateAllIds()) ids.push(id);
    return ids;
  }

  async *iterateAllIds(): AsyncIterable<string> {
    for await (const { sessionId } of this.#connection.iterate('listAllIds')) yield sessionId;
  }

  async clearAll(): Promise<void> {
    await this.#connection.call('clearAll', 'write', ({ driver }) => driver.clear());
  }

  async cleanupExpired(): Promise<void> {
    await this.sweep();
  }

  async sweep(options?: { readonly batch?: number | undefined }): Promise<{ pending: number; dormant: number }> {
    const { batch = DEFAULT_BATCH } = readCallOptions(options, 'batch');
    const limit = wholeNumber('batch', batch, 100_000);
    const total = { pending: 0, dormant: 0 };
    for (;;) {
      const swept = await this.#connection.call('sweep', 'write', ({ driver }) => driver.sweep(limit));
      total.pending += swept.pending;
      total.dormant += swept.dormant;
      if (swept.pending + swept.dormant < limit) return total;
    }
  }

  async rekey(): Promise<{ rewritten: number }> {
    return rekeyAll(this.#connection);
  }

  async health(): Promise<StoreHealth> {
    return healthOf(this.#connection);
  }

  onMutation(listener: MutationListener): () => void {
    assertFunction('A listener of changes', listener);
    return this.#connection.mutations.add(listener);
  }

  async disconnect(): Promise<void> {
    await this.#connection.close();
  }

  async #page(
    operation: string,
    userId: string,
    page: Reveal & { readonly limit?: number | undefined; readonly cursor?: string | undefined },
  ): Promise<{ sessions: Session[]; nextCursor: string | null }> {
    assertUserId(userId);
    const limit = wholeNumber('limit', page.limit ?? DEFAULT_PAGE, LARGEST_PAGE);
    const after = page.cursor === undefined ? undefined : decodeCursor(page.cursor);
    return this.#connection.call(operation, 'read', async ({ driver, codec }) => {
      const { records, more } = await driver.readUser(userId, { fields: fieldsFor(page), limit, after });
      const sessions = await Promise.all(records.map((record) => codec.toSession(record)));
      const last = records.at(-1);
      return { sessions, nextCursor: more && last !== undefined ? encodeCursor(last) : null };
    });
  }

  async #patch(
    operation: string,
    key: SessionKey,
    { set, unset }: FieldChanges,
    guard?: Guard,
    status?: Patch['status'],
  ): Promise<void> {
    const { ifVersion } = readCallOptions(guard, 'ifVersion');
    const kind = status === undefined && unset.length === 0 && Object.keys(set).length === 0 ? 'touch' : 'content';
    await this.#connection.call(operation, 'write', async ({ driver, codec }) => {
      const { maxRecordBytes: maxBytes } = codec;
      const sealed = await codec.seal(key, set);
      const result = await driver.patch(key, { kind, set: sealed, unset, status, ifVersion, maxBytes });
      if (result === 'missing') throw notFound(key.sessionId, 'not-applied');
      if (result === 'conflict') throw conflict(key.sessionId);
      if ('tooLarge' in result) throw tooLarge(result.tooLarge, maxBytes);
    });
  }
}

function keyOf(userId: unknown, sessionId: unknown): SessionKey {
  assertIds(userId, sessionId);
  return { userId: userId as string, sessionId: sessionId as string };
}

function fieldsFor({ includeCredentials }: Reveal): readonly FieldName[] {
  return includeCredentials === true ? FIELDS : OPEN_FIELDS;
}

function unchangeable(field: string): SessionStoreError {
  return invalid(`Session field ${field} cannot be changed`);
}

function wholeNumber(name: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return value;
  throw invalid(`${name} must be a whole number from 1 to ${max}`);
}
