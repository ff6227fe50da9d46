import { SessionError } from '../errors.ts';
import {
  type ClientCapabilities,
  type ClientInfo,
  InfoSessionManager,
  type LogLevel,
} from '../info-session-manager.ts';
import { type ErrorHandler, guardErrorHandler } from '../on-error.ts';
import { assertResourceUri, assertSessionId } from '../session-id.ts';
import { asSessionError, attemptUntil, withinMs } from './attempts.ts';
import { InCallOrder } from './in-call-order.ts';
import type { StoredInfoSettings } from './info-options.ts';
import type { InfoField, InfoRow, InfoStore } from './info-store.ts';
import { decodeInfo, encodeInfo } from './info-values.ts';
import { LATE_MS, SessionWrites, type Write } from './session-writes.ts';
import { SharedReads } from './shared-reads.ts';

/** Counters since the manager was made, and what waits now. */
export type InfoStats = {
  /** Reads of a session that went to the backend: one for the three getters of a POST. */
  readonly reads: number;
  /** Lists of subscribers that were asked for. */
  readonly lists: number;
  readonly writes: number;
  /** Calls that had to be repeated. */
  readonly retries: number;
  /** Calls that were given up. */
  readonly failures: number;
  readonly pendingWrites: number;
  readonly pendingBytes: number;
};

/**
 * Session info on any backend: all rules, over an `InfoStore` that holds the texts.
 *
 * - Setters and `delete` are stored in call order per session, retried until `sendTimeoutMs`, then reported. The
 *   promise of a setter rejects as well, but its rejection is marked as handled: the transports do not await it.
 * - Getters see what was set before on this process, and share one round trip per POST (`SharedReads`).
 * - A write that arrives late does not bring a deleted session back (`SessionWrites`, `InfoStore`).
 * - Nothing hangs and nothing throws: every call has a deadline and returns a promise.
 */
export class StoredInfoSessionManager extends InfoSessionManager implements AsyncDisposable {
  readonly #store: InfoStore;
  readonly #sendTimeoutMs: number;
  readonly #report: ErrorHandler;
  readonly #writes: SessionWrites;
  readonly #reads: SharedReads;
  readonly #lists: InCallOrder;
  readonly #counts = { reads: 0, lists: 0, writes: 0, retries: 0, failures: 0 };
  #closing: Promise<void> | undefined;

  constructor(store: InfoStore, settings: StoredInfoSettings) {
    super();
    this.#store = store;
    this.#sendTimeoutMs = settings.sendTimeoutMs;
    this.#report = guardErrorHandler(settings.onError);
    this.#writes = new SessionWrites(settings);
    this.#lists = new InCallOrder(settings.sendTimeoutMs + LATE_MS);
    this.#reads = new SharedReads((id) => this.#readRow(id));
  }

  override getClientInfo(id: string): Promise<ClientInfo> {
    return this.#get(id, 'clientInfo');
  }

  override getClientCapabilities(id: string): Promise<ClientCapabilities> {
    return this.#get(id, 'clientCapabilities');
  }

  override getLogLevel(id: string): Promise<LogLevel> {
    return this.#get(id, 'logLevel');
  }

  override setClientInfo(id: string, clientInfo: ClientInfo): Promise<void> {
    return this.#set(id, 'clientInfo', clientInfo);
  }

  override setClientCapabilities(id: string, clientCapabilities: ClientCapabilities): Promise<void> {
    return this.#set(id, 'clientCapabilities', clientCapabilities);
  }

  override setLogLevel(id: string, logLevel: LogLevel): Promise<void> {
    return this.#set(id, 'logLevel', logLevel);
  }

  override addSubscription(id: string, uri: string): Promise<void> {
    return this.#subscribe(id, uri, (age) => this.#store.subscribe(id, uri, age));
  }

  override removeSubscription(id: string, uri: string): Promise<void> {
    return this.#subscribe(id, uri, (age) => this.#store.unsubscribe(id, uri, age));
  }

  /** Answers come in call order, so that updates that are sent after them keep theirs. */
  override getSubscriptions(uri: string): Promise<string[]> {
    return this.#lists.run(async () => {
      try {
        this.#assertOpen();
        assertResourceUri(uri);
        this.#counts.lists += 1;
        return await this.#attempt(this.#writes.settledForUri(uri), () => this.#store.subscribers(uri));
      } catch (error) {
        this.#report(asSessionError(error));
        return [];
      }
    });
  }

  /** Never rejects: what cannot be deleted within `sendTimeoutMs` is reported. */
  override async delete(id: string): Promise<void> {
    await this.#write(id, () => ({
      session: id,
      bytes: 0,
      concerns: () => true,
      store: (age) => this.#store.delete(id, age),
    })).catch(() => undefined);
  }

  stats(): InfoStats {
    const { writes, bytes } = this.#writes.pending;
    return {
      ...this.#counts,
      retries: this.#counts.retries + this.#writes.retries,
      failures: this.#counts.failures + this.#writes.failures,
      pendingWrites: writes,
      pendingBytes: bytes,
    };
  }

  /** Whether the backend answers and has what it needs. Never rejects. */
  async health(): Promise<{ ok: boolean; error: SessionError | undefined }> {
    try {
      this.#assertOpen();
      await withinMs(this.#sendTimeoutMs, () => this.#store.check());
      return { ok: true, error: undefined };
    } catch (error) {
      return { ok: false, error: asSessionError(error) };
    }
  }

  /** Stores what waits, then closes what was opened. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    try {
      await this.#writes.settledForAll();
      await withinMs(this.#sendTimeoutMs, () => this.#store.close());
    } catch (error) {
      this.#report(asSessionError(error));
    }
  }

  async #get<F extends InfoField>(id: string, field: F): Promise<ReturnType<typeof decodeInfo<F>>> {
    this.#assertOpen();
    assertSessionId(id);
    const row = await this.#reads.take(id, field);
    return decodeInfo(field, row[field]);
  }

  #readRow(id: string): Promise<InfoRow> {
    this.#counts.reads += 1;
    return this.#attempt(this.#writes.settledFor(id), () => this.#store.read(id));
  }

  /** @param writes what a read has to wait for, so that it sees what was written before it */
  async #attempt<T>(writes: Promise<void> | undefined, read: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#sendTimeoutMs;
    try {
      if (writes !== undefined) await withinMs(this.#sendTimeoutMs, () => writes);
      return await attemptUntil(read, {
        deadline,
        attemptMs: Math.ceil(this.#sendTimeoutMs / 2),
        onRetry: () => {
          this.#counts.retries += 1;
        },
      });
    } catch (error) {
      this.#counts.failures += 1;
      throw error;
    }
  }

  #set(id: string, field: InfoField, value: unknown): Promise<void> {
    return this.#write(id, () => {
      // Now, not when it is its turn: the caller may change the value.
      const json = encodeInfo(value);
      return {
        session: id,
        bytes: json.length + id.length,
        concerns: () => false,
        store: (age) => this.#store.write(id, field, json, age),
      };
    });
  }

  #subscribe(id: string, uri: string, store: Write['store']): Promise<void> {
    return this.#write(id, () => {
      assertResourceUri(uri);
      return { session: id, bytes: uri.length + id.length, concerns: (other) => other === uri, store };
    });
  }

  /** Reports what fails, for nobody may be waiting, and rejects, for somebody may. */
  #write(id: string, describe: () => Write): Promise<void> {
    const stored = this.#tryWrite(id, describe);
    stored.catch((error: unknown) => this.#report(asSessionError(error)));
    return stored;
  }

  async #tryWrite(id: string, describe: () => Write): Promise<void> {
    this.#assertOpen();
    assertSessionId(id);
    const write = describe();
    this.#reads.forget(id);
    this.#counts.writes += 1;
    await this.#writes.add(write);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) {
      throw new SessionError('closed', 'this info session manager was closed');
    }
  }
}
