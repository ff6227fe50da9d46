import type { Session, SessionStatus } from '@tmcp/session-store';

export type Clock = { now: number };

const PENDING_MS = 600_000;
// Shorter than the default, so that histories come across it.
export const MAX_PENDING_MS = 900_000;
const DORMANT_MS = 2_592_000_000;

type Kept = { data: Record<string, unknown>; pendingSince: number; pendingUntil: number; version: number };

/** What a store must do, written down as plainly as possible: one caller, no storage, no encryption. */
export class SessionModel {
  readonly #clock: Clock;
  readonly #kept: Map<string, Kept> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  create(session: Session): string | undefined {
    const key = keyOf(session.userId, session.sessionId);
    if (this.#find(key) !== undefined) return 'exists';
    const createdAt = Math.min(session.createdAt, this.#clock.now);
    const updatedAt = Math.min(session.updatedAt ?? this.#clock.now, this.#clock.now);
    const data = merged({}, { ...session, status: session.status ?? 'pending', createdAt, updatedAt });
    this.#kept.set(key, { data, pendingSince: createdAt, pendingUntil: createdAt + PENDING_MS, version: 0 });
    return undefined;
  }

  /** @returns the code of the error, if it must fail */
  update(userId: string, sessionId: string, change: Record<string, unknown>, atVersion?: number): string | undefined {
    const kept = this.#find(keyOf(userId, sessionId));
    if (kept === undefined) return 'not_found';
    if (atVersion !== undefined && atVersion !== kept.version) return 'conflict';
    const was = kept.data.status;
    kept.data = { ...merged(kept.data, change), updatedAt: this.#clock.now };
    if (was === 'active' && kept.data.status === 'pending') kept.pendingSince = this.#clock.now;
    if (kept.data.status === 'pending') {
      kept.pendingUntil = Math.min(this.#clock.now + PENDING_MS, kept.pendingSince + MAX_PENDING_MS);
    }
    if (Object.values(change).some((value) => value !== undefined)) kept.version += 1;
    return undefined;
  }

  delete(userId: string, sessionId: string): void {
    this.#kept.delete(keyOf(userId, sessionId));
  }

  clear(): void {
    this.#kept.clear();
  }

  get(userId: string, sessionId: string): Record<string, unknown> | null {
    const kept = this.#find(keyOf(userId, sessionId));
    if (kept === undefined) return null;
    return { ...kept.data, expiresAt: kept.data.status === 'pending' ? kept.pendingUntil : null };
  }

  /** Changes since its creation. */
  version(userId: string, sessionId: string): number | undefined {
    return this.#find(keyOf(userId, sessionId))?.version;
  }

  list(userId: string): Record<string, unknown>[] {
    return [...this.#kept.values()]
      .map(({ data }) => this.get(String(data.userId), String(data.sessionId)))
      .filter((found) => found !== null)
      .filter((found) => found.userId === userId)
      .sort((a, b) => Number(a.createdAt) - Number(b.createdAt) || byteOrder(String(a.sessionId), String(b.sessionId)));
  }

  #find(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const status = kept.data.status as SessionStatus;
    const ends = status === 'pending' ? kept.pendingUntil : Number(kept.data.updatedAt) + DORMANT_MS;
    return ends > this.#clock.now ? kept : undefined;
  }
}

export function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function merged(data: Record<string, unknown>, change: Record<string, unknown>): Record<string, unknown> {
  const kept = { ...data };
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete kept[name];
    else if (value !== undefined) kept[name] = value;
  }
  return kept;
}

function keyOf(userId: string, sessionId: string): string {
  return JSON.stringify([userId, sessionId]);
}
