import { after, type Timer } from '../delivery/clock.ts';
import { SessionError } from '../errors.ts';
import type { Age, InfoField, InfoRow, InfoStore } from '../info/info-store.ts';
import type { ErrorHandler } from '../on-error.ts';
import { MAX_TIMER_MS } from '../options.ts';

type Session = {
  readonly fields: Map<InfoField, { readonly json: string; readonly at: number }>;
  /** Subscribed URIs, and when. */
  readonly uris: Map<string, number>;
  usedAt: number;
  bytes: number;
};

/** How long a deletion is remembered: many times what a write can be late. */
const REMEMBER_DELETION_MS = 3_600_000;
/** What a session or URI costs beside its text, roughly. */
const OVERHEAD_BYTES = 256;

export type InMemoryInfoStoreSettings = {
  readonly infoTtlMs: number;
  readonly maxInfoBytes: number;
  readonly onError: ErrorHandler;
};

/**
 * Session info in the memory of this process. Sessions stand in the order of their last use, so that what expired, or
 * has to make room, is in front. One timer runs while anything is stored; where timers do not last (Workers), each
 * call cleans up too.
 */
export class InMemoryInfoStore implements InfoStore {
  readonly #settings: InMemoryInfoStoreSettings;
  readonly #sessions = new Map<string, Session>();
  readonly #subscribers = new Map<string, Set<string>>();
  /** Moments of `performance.now()`, oldest first. */
  readonly #deletions = new Map<string, number>();
  #bytes = 0;
  #timer: Timer | undefined;

  constructor(settings: InMemoryInfoStoreSettings) {
    this.#settings = settings;
  }

  get size(): { readonly sessions: number; readonly bytes: number } {
    return { sessions: this.#sessions.size, bytes: this.#bytes };
  }

  async read(id: string): Promise<InfoRow> {
    this.#sweep();
    const session = this.#sessions.get(id);
    if (session === undefined) return {};
    this.#use(id, session);
    return Object.fromEntries([...session.fields].map(([field, { json }]) => [field, json]));
  }

  async write(id: string, field: InfoField, json: string, age: Age): Promise<void> {
    this.#change(id, age, (session, at) => {
      const old = session.fields.get(field);
      if (old !== undefined && old.at > at) return;
      session.fields.set(field, { json, at });
      this.#grow(session, json.length - (old?.json.length ?? 0));
    });
  }

  async subscribe(id: string, uri: string, age: Age): Promise<void> {
    this.#change(id, age, (session, at) => {
      const since = session.uris.get(uri);
      if (since === undefined) this.#grow(session, uri.length + OVERHEAD_BYTES);
      session.uris.set(uri, Math.max(at, since ?? at));
      const ids = this.#subscribers.get(uri) ?? new Set();
      this.#subscribers.set(uri, ids.add(id));
    });
  }

  async unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    const session = this.#sessions.get(id);
    const since = session?.uris.get(uri);
    if (session === undefined || since === undefined || since > calledAt(age)) return;
    this.#removeUri(id, session, uri);
  }

  async subscribers(uri: string): Promise<string[]> {
    this.#sweep();
    return [...(this.#subscribers.get(uri) ?? [])];
  }

  async delete(id: string, age: Age): Promise<void> {
    const at = calledAt(age);
    // Removed first: the order is that of deletion.
    const before = this.#deletions.get(id) ?? Number.NEGATIVE_INFINITY;
    this.#deletions.delete(id);
    this.#deletions.set(id, Math.max(at, before));
    this.#removeOlder(id, at);
    this.#sweep();
    this.#arm();
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sessions.clear();
    this.#subscribers.clear();
    this.#deletions.clear();
    this.#bytes = 0;
  }

  #change(id: string, age: Age, change: (session: Session, at: number) => void): void {
    this.#sweep();
    const at = calledAt(age);
    if (at < (this.#deletions.get(id) ?? Number.NEGATIVE_INFINITY)) return;
    const session = this.#sessions.get(id) ?? this.#open(id);
    change(session, at);
    this.#use(id, session);
    this.#makeRoom();
    this.#arm();
  }

  #open(id: string): Session {
    const session: Session = { fields: new Map(), uris: new Map(), usedAt: 0, bytes: 0 };
    this.#sessions.set(id, session);
    this.#grow(session, id.length + OVERHEAD_BYTES);
    return session;
  }

  #use(id: string, session: Session): void {
    session.usedAt = performance.now();
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
  }

  #grow(session: Session, bytes: number): void {
    session.bytes += bytes;
    this.#bytes += bytes;
  }

  /** A deletion that was called before something was written leaves that alone. */
  #removeOlder(id: string, at: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    for (const [field, value] of session.fields) {
      if (value.at > at) continue;
      session.fields.delete(field);
      this.#grow(session, -value.json.length);
    }
    for (const [uri, since] of session.uris) if (since <= at) this.#removeUri(id, session, uri);
    if (session.fields.size === 0 && session.uris.size === 0) this.#remove(id, session);
  }

  #remove(id: string, session: Session): void {
    for (const uri of session.uris.keys()) this.#removeUri(id, session, uri);
    this.#bytes -= session.bytes;
    this.#sessions.delete(id);
  }

  #removeUri(id: string, session: Session, uri: string): void {
    session.uris.delete(uri);
    this.#grow(session, -uri.length - OVERHEAD_BYTES);
    const ids = this.#subscribers.get(uri);
    ids?.delete(id);
    if (ids?.size === 0) this.#subscribers.delete(uri);
  }

  #makeRoom(): void {
    const { maxInfoBytes, onError } = this.#settings;
    for (const [id, session] of this.#sessions) {
      if (this.#bytes <= maxInfoBytes) return;
      this.#remove(id, session);
      onError(
        new SessionError(
          'configuration',
          'session info exceeds "maxInfoBytes": that of the session that was not used for the longest time was forgotten',
        ),
      );
    }
  }

  #sweep(): void {
    const now = performance.now();
    for (const [id, session] of this.#sessions) {
      if (now - session.usedAt < this.#settings.infoTtlMs) break;
      this.#remove(id, session);
    }
    for (const [id, at] of this.#deletions) {
      if (now - at < REMEMBER_DELETION_MS) break;
      this.#deletions.delete(id);
    }
  }

  /** One timer, for what is due next; none when nothing is stored. */
  #arm(): void {
    const [session] = this.#sessions.values();
    const [deletedAt] = this.#deletions.values();
    if (this.#timer !== undefined || (session === undefined && deletedAt === undefined)) return;
    const due = Math.min(
      (session?.usedAt ?? Number.POSITIVE_INFINITY) + this.#settings.infoTtlMs,
      (deletedAt ?? Number.POSITIVE_INFINITY) + REMEMBER_DELETION_MS,
    );
    const inMs = Math.ceil(due - performance.now());
    this.#timer = after(Math.min(Math.max(1, inMs), MAX_TIMER_MS), () => {
      this.#timer = undefined;
      this.#sweep();
      this.#arm();
    });
  }
}

/** The age first, then the clock: an interruption in between makes a call seem late, as any way to a store does. */
function calledAt(age: Age): number {
  const ms = age();
  return performance.now() - ms;
}
