import type { BackendOptions } from './backend-options.ts';
import { assertFunction } from './call-options.ts';
import { isProduction, variable } from './environment.ts';
import { SessionStoreError } from './errors.ts';
import { type MutationListener, Mutations } from './mutations.ts';
import { openBackend } from './open-backend.ts';
import { redact } from './redact.ts';
import { Reporter } from './report.ts';
import { type BackendChoice, selectBackend } from './select-backend.ts';
import type { OAuthState, OAuthTokens, Session, SessionCredentials } from './session.ts';
import { saying, unavailable } from './session-errors.ts';
import { generateSessionId } from './session-ids.ts';
import type { Guard, Lease, LockOptions, RefreshedTokens, Reveal, SessionStore, StoreHealth } from './session-store.ts';

/**
 * The store that the environment asks for. The first call reads it and starts the backend, shared by all who call
 * meanwhile. A failed start is forgotten, and so is the backend after `disconnect()`: the next call begins anew.
 */
export class EnvironmentSessions implements SessionStore {
  readonly #options: BackendOptions;
  readonly #reporter: Reporter;
  readonly #mutations: Mutations;
  #backend: Promise<SessionStore> | undefined;
  /** Of the last start: for `health()` when it failed. */
  #chosen: BackendChoice['backend'] | undefined;

  constructor(options: BackendOptions = {}) {
    this.#reporter = new Reporter(options.onError);
    this.#mutations = new Mutations(this.#reporter);
    // One reporter for all backends in turn, so that a warning is not repeated by the next one.
    this.#options = { ...options, onError: this.#reporter.error };
  }

  async init(): Promise<void> {
    await this.#open();
  }

  generateSessionId(): string {
    return generateSessionId();
  }

  async create(session: Session): Promise<void> {
    return (await this.#openToWrite()).create(session);
  }

  async update(userId: string, sessionId: string, data: Partial<Session>, guard?: Guard): Promise<void> {
    return (await this.#openToWrite()).update(userId, sessionId, data, guard);
  }

  async touch(userId: string, sessionId: string): Promise<void> {
    return (await this.#openToWrite()).touch(userId, sessionId);
  }

  async get(userId: string, sessionId: string, reveal?: Reveal): Promise<Session | null> {
    return (await this.#open()).get(userId, sessionId, reveal);
  }

  async list(userId: string, reveal?: Reveal): Promise<Session[]> {
    return (await this.#open()).list(userId, reveal);
  }

  async listPage(
    userId: string,
    page: Parameters<SessionStore['listPage']>[1],
  ): Promise<{ sessions: Session[]; nextCursor: string | null }> {
    return (await this.#open()).listPage(userId, page);
  }

  async listIds(userId: string): Promise<string[]> {
    return (await this.#open()).listIds(userId);
  }

  async delete(userId: string, sessionId: string, guard?: Guard): Promise<void> {
    return (await this.#openToWrite()).delete(userId, sessionId, guard);
  }

  async getCredentials(
    userId: string,
    sessionId: string,
  ): Promise<(SessionCredentials & { readonly version: number }) | null> {
    return (await this.#open()).getCredentials(userId, sessionId);
  }

  async patchCredentials(
    userId: string,
    sessionId: string,
    credentials: SessionCredentials,
    guard?: Guard,
  ): Promise<void> {
    return (await this.#openToWrite()).patchCredentials(userId, sessionId, credentials, guard);
  }

  async clearCredentials(userId: string, sessionId: string, guard?: Guard): Promise<void> {
    return (await this.#openToWrite()).clearCredentials(userId, sessionId, guard);
  }

  async consumeOAuthState(userId: string, sessionId: string, nonce: string): Promise<OAuthState | null> {
    return (await this.#openToWrite()).consumeOAuthState(userId, sessionId, nonce);
  }

  async withLock<T>(
    userId: string,
    sessionId: string,
    run: (lease: Lease) => Promise<T>,
    options?: LockOptions,
  ): Promise<T> {
    return (await this.#openToWrite()).withLock(userId, sessionId, run, options);
  }

  async refreshTokens(
    userId: string,
    sessionId: string,
    refresh: (current: Session, context: { readonly signal: AbortSignal }) => Promise<OAuthTokens>,
    options?: { readonly staleAccessToken?: string | undefined },
  ): Promise<RefreshedTokens> {
    return (await this.#openToWrite()).refreshTokens(userId, sessionId, refresh, options);
  }

  async listAllIds(): Promise<string[]> {
    return (await this.#open()).listAllIds();
  }

  async *iterateAllIds(): AsyncIterable<string> {
    yield* (await this.#open()).iterateAllIds();
  }

  async clearAll(): Promise<void> {
    return (await this.#openToWrite()).clearAll();
  }

  async cleanupExpired(): Promise<void> {
    return (await this.#openToWrite()).cleanupExpired();
  }

  async sweep(options?: { readonly batch?: number | undefined }): Promise<{ pending: number; dormant: number }> {
    return (await this.#openToWrite()).sweep(options);
  }

  async rekey(): Promise<{ rewritten: number }> {
    return (await this.#open()).rekey();
  }

  /** Listeners stay when the backend is opened anew. */
  onMutation(listener: MutationListener): () => void {
    assertFunction('A listener of changes', listener);
    return this.#mutations.add(listener);
  }

  async health(): Promise<StoreHealth> {
    const began = performance.now();
    try {
      const health = await (await this.#open()).health();
      return { ...health, warnings: [...new Set([...this.#reporter.warnings, ...health.warnings])] };
    } catch (cause) {
      return {
        ok: false,
        backend: this.#chosen ?? 'none',
        latencyMs: Math.round(performance.now() - began),
        error: SessionStoreError.is(cause) ? cause.code : 'unavailable',
        warnings: this.#reporter.warnings,
      };
    }
  }

  async disconnect(): Promise<void> {
    const backend = this.#backend;
    this.#backend = undefined;
    // A start that failed has closed what it opened, and was reported to whoever called for it.
    await (await backend?.catch(() => undefined))?.disconnect();
  }

  /** Where there is no backend yet, nothing can have been written. */
  #openToWrite(): Promise<SessionStore> {
    return this.#open().catch(saying('not-applied'));
  }

  #open(): Promise<SessionStore> {
    if (this.#backend === undefined) {
      const starting: Promise<SessionStore> = this.#start().catch((error: unknown) => {
        if (this.#backend === starting) this.#backend = undefined;
        throw error;
      });
      this.#backend = starting;
    }
    return this.#backend;
  }

  async #start(): Promise<SessionStore> {
    this.#chosen = undefined;
    const choice = selectBackend(variable, this.#reporter.warn);
    this.#chosen = choice.backend;
    if (choice.backend === 'memory' && isProduction()) {
      this.#reporter.warn('Sessions are kept in memory and are lost when the process ends');
    }
    const backend = await openBackend(choice, this.#options);
    backend.onMutation(this.#mutations.tell);
    try {
      await backend.init();
    } catch (error) {
      await backend.disconnect().catch((cause: unknown) => {
        const failure = SessionStoreError.is(cause) ? cause : unavailable(choice.backend, 'disconnect', { cause });
        this.#reporter.error(failure);
      });
      throw SessionStoreError.is(error) ? error : unavailable(choice.backend, 'init', { cause: redact(error) });
    }
    return backend;
  }
}
