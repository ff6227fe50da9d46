import type { InfoRow } from '@tmcp/session-manager';
import type { InfoWrite } from '../protocol.ts';
import { Meta } from './meta.ts';

const TABLES: readonly string[] = [
  'CREATE TABLE IF NOT EXISTS info (sid TEXT, field TEXT, json TEXT NOT NULL, called REAL NOT NULL, PRIMARY KEY (sid, field)) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS info_session (sid TEXT PRIMARY KEY, deleted REAL, used REAL NOT NULL, ttl REAL NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS sub (uri TEXT, sid TEXT, called REAL NOT NULL, PRIMARY KEY (uri, sid)) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS sub_of ON sub (sid)',
];

/** A use is written down when the last one is older than this part of the time to live: reads should not write. */
const USE_FRACTION = 24;
/** How often expired sessions are looked for: that reads all of them. Until then they are there, and unknown. */
const SHORTEST_LOOK_MS = 3_600_000;
const LONGEST_LOOK_MS = 24 * SHORTEST_LOOK_MS;
/** Its key in `meta`. */
const NEXT_LOOK = 'info_look';
/** How long a deletion is remembered at least: longer than a write can be late. */
const LATE_MS = 120_000;
/** Clocks of Workers and objects differ by less than this, and what takes longer on its way is judged by them. */
const CLOCKS_MS = 1_000;

/**
 * What clients said of themselves, and which resources they subscribed to.
 *
 * Moments are those of this object: a write was called at "now, less its age", and less the time for which it was held up
 * on its way. What was called before the session's last deletion changes nothing, however late it comes, and of two
 * writes to one field the later call stays.
 */
export class InfoTable {
  readonly #sql: SqlStorage;
  readonly #meta: Meta;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#meta = new Meta(sql);
    for (const statement of TABLES) sql.exec(statement);
  }

  read(session: string, ttlMs: number): InfoRow {
    const now = Date.now();
    const used = this.#session(session)?.used;
    if (used !== undefined && used + ttlMs < now) return {};
    const rows = this.#sql.exec<{ field: string; json: string }>('SELECT field, json FROM info WHERE sid = ?', session);
    const row = Object.fromEntries(rows.toArray().map(({ field, json }) => [field, json]));
    if (used !== undefined && used < now - ttlMs / USE_FRACTION) this.#use(session, now, ttlMs);
    return row;
  }

  write(change: InfoWrite): void {
    const { session, ttlMs, ageMs, sentAt } = change;
    const now = Date.now();
    const called = calledAt(now, ageMs, sentAt);
    const known = this.#session(session);
    if (known?.deleted != null && called <= known.deleted) return;
    // What has expired stays forgotten when its session returns.
    if (known && known.used + ttlMs < now) this.#remove(session, now);
    if (change.type === 'unsubscribe') {
      this.#sql.exec('DELETE FROM sub WHERE uri = ? AND sid = ? AND called <= ?', change.uri, session, called);
      return;
    }
    if (change.type === 'set') {
      this.#sql.exec(
        `INSERT INTO info (sid, field, json, called) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET json = excluded.json, called = excluded.called WHERE excluded.called >= called`,
        ...[session, change.field, change.json, called],
      );
    } else {
      this.#sql.exec(
        'INSERT INTO sub (uri, sid, called) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET called = max(called, excluded.called)',
        ...[change.uri, session, called],
      );
    }
    this.#use(session, now, ttlMs);
  }

  subscribers(uri: string): string[] {
    const now = Date.now();
    return this.#sql
      .exec<{ sid: string }>(
        'SELECT sub.sid AS sid FROM sub JOIN info_session ON info_session.sid = sub.sid WHERE uri = ? AND used + ttl >= ?',
        uri,
        now,
      )
      .toArray()
      .map(({ sid }) => sid);
  }

  delete(session: string, ageMs: number, ttlMs: number, sentAt: number | undefined): void {
    const now = Date.now();
    const called = calledAt(now, ageMs, sentAt);
    this.#remove(session, called);
    this.#sql.exec(
      `INSERT INTO info_session (sid, deleted, used, ttl) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET deleted = max(coalesce(deleted, 0), excluded.deleted), used = excluded.used`,
      ...[session, called, now, ttlMs],
    );
  }

  /** Forgets what was not used for its time. Returns when that is to be looked at again; `undefined` is never. */
  expire(now: number): number | undefined {
    const nextLook = this.#meta.number(NEXT_LOOK);
    if (nextLook > now) return nextLook;
    let next = Number.POSITIVE_INFINITY;
    const expired: string[] = [];
    const due = 'SELECT sid, used + max(ttl, ?) AS due FROM info_session';
    for (const session of this.#sql.exec<{ sid: string; due: number }>(due, LATE_MS)) {
      if (session.due < now) expired.push(session.sid);
      else next = Math.min(next, session.due);
    }
    for (const sid of expired) {
      this.#remove(sid, now);
      this.#sql.exec('DELETE FROM info_session WHERE sid = ?', sid);
    }
    if (next === Number.POSITIVE_INFINITY) return undefined;
    const look = Math.min(Math.max(next, now + SHORTEST_LOOK_MS), now + LONGEST_LOOK_MS);
    this.#meta.set(NEXT_LOOK, look);
    return look;
  }

  /** Removes what was called up to a moment. */
  #remove(session: string, upTo: number): void {
    this.#sql.exec('DELETE FROM info WHERE sid = ? AND called <= ?', session, upTo);
    this.#sql.exec('DELETE FROM sub WHERE sid = ? AND called <= ?', session, upTo);
  }

  #use(session: string, now: number, ttlMs: number): void {
    const known = this.#session(session);
    if (known && known.ttl === ttlMs && known.used > now - ttlMs / USE_FRACTION) return;
    this.#sql.exec(
      `INSERT INTO info_session (sid, deleted, used, ttl) VALUES (?, NULL, ?, ?)
       ON CONFLICT DO UPDATE SET used = excluded.used, ttl = excluded.ttl`,
      ...[session, now, ttlMs],
    );
  }

  #session(session: string): { deleted: number | null; used: number; ttl: number } | undefined {
    return this.#sql
      .exec<{ deleted: number | null; used: number; ttl: number }>(
        'SELECT deleted, used, ttl FROM info_session WHERE sid = ?',
        session,
      )
      .toArray()[0];
  }
}

function calledAt(now: number, ageMs: number, sentAt: number = now): number {
  const onItsWay = now - sentAt;
  return now - ageMs - (onItsWay > CLOCKS_MS ? onItsWay : 0);
}
