import { jsonLists } from './json-lists.ts';
import type { Expired } from './shard-store.ts';

/** What is stored of a session. */
export type SessionRow = {
  sid: string;
  /** The epoch that its positions belong to. */
  epoch: string;
  /** The stream that holds the session; none while it is detached. */
  claim: string | null;
  /** The stream that held it before, as long as it has not said where it ended: `claim` waits for that. */
  prev: string | null;
  /** Nothing up to here is ever replayed to this session. */
  floor: number;
  /** Where a stream starts that names no event. */
  detach: number;
  /** Whether the stream that begins at `detach` continues there; else its client has still to be told that it does not. */
  resumed: number;
  /** The operation that ended the session. */
  ended: string | null;
  touched: number;
};

const COLUMNS = ['sid', 'epoch', 'claim', 'prev', 'floor', 'detach', 'resumed', 'ended', 'touched'] as const;

// `trimmed`, the one column that is missing here, belongs to the log, and a row that is saved keeps it.
const SELECT = `SELECT ${COLUMNS.join(', ')} FROM session`;
const UPSERT = `INSERT INTO session (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})
  ON CONFLICT (sid) DO UPDATE SET ${COLUMNS.map((column) => `${column} = excluded.${column}`).join(', ')}`;

/** The sessions of a shard. A row is written when its session is claimed, released or ended, never by a message. */
export class SessionTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get(session: string): SessionRow | undefined {
    return this.#sql.exec<SessionRow>(`${SELECT} WHERE sid = ?`, session).toArray()[0];
  }

  save(row: SessionRow): void {
    const touched = { ...row, touched: Date.now() };
    this.#sql.exec(UPSERT, ...COLUMNS.map((column) => touched[column]));
  }

  /** Which of these sessions there are. */
  known(sessions: readonly string[]): string[] {
    return jsonLists(sessions).flatMap((list) =>
      this.#ids('SELECT sid FROM session WHERE ended IS NULL AND sid IN (SELECT value FROM json_each(?))', list),
    );
  }

  /**
   * Forgets sessions without a stream that were last touched before a moment.
   *
   * @param mayReturn those that are held are kept: nobody was told that their sockets broke
   */
  forgetDetached(before: number, isOpen: (session: string) => boolean, mayReturn: boolean): Expired {
    const stale: string[] = [];
    let [isLeft, isAwaited] = [false, false];
    const all = 'SELECT sid, claim, touched FROM session';
    for (const { sid, claim, touched } of this.#sql.exec<Pick<SessionRow, 'sid' | 'claim' | 'touched'>>(all)) {
      const isStale = touched < before;
      if ((isLeft && !isStale) || isOpen(sid)) continue;
      if (!isStale) isLeft = true;
      else if (mayReturn && claim !== null) isAwaited = true;
      else stale.push(sid);
    }
    for (const list of jsonLists(stale)) {
      this.#sql.exec('DELETE FROM session WHERE sid IN (SELECT value FROM json_each(?))', list);
    }
    return { isLeft, isAwaited };
  }

  #ids(query: string, ...bindings: SqlStorageValue[]): string[] {
    return this.#sql
      .exec<{ sid: string }>(query, ...bindings)
      .toArray()
      .map(({ sid }) => sid);
  }
}
