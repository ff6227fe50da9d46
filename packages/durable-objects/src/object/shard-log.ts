import { encodeText, utf8Length } from '@tmcp/session-manager';
import type { Entry, ShardMessage, Topic } from '../protocol.ts';
import { jsonLists } from './json-lists.ts';
import type { Meta } from './meta.ts';
import type { Appended, Reader } from './shard-store.ts';

/** To every session, to some of them, to the listen streams of a topic. These numbers are stored. */
const KIND = { everyone: 0, some: 1, tools: 2, prompts: 3, resources: 4, updated: 5, other: 6 } as const;
/** What went to everyone, or to a topic, is remembered under its name when it is trimmed. */
const TRIMMED = Object.entries(KIND).filter(([name]) => name !== 'some');

/** A SQLite row holds 2 MB: longer texts are stored in parts. */
const WHOLE_BYTES = 512 * 1024;
const PART_BYTES = 1024 * 1024;

/** A page is what one message of a socket carries. */
const PAGE_ENTRIES = 500;
const PAGE_BYTES = 256 * 1024;

/** A batch whose answer was lost comes again within seconds; it is looked for among this many newest rows. */
const RETRY_ROWS = 10_000;

type Edge = { seq: number; size: number; total: number };
type Row = { seq: number; size: number; data: string | null };

/**
 * The short log of a shard. Positions are contiguous per shard and never used twice: the newest row is never trimmed.
 *
 * Whether a reader has missed something is known exactly: when rows are trimmed, the highest position of what went to
 * everyone, to each topic of listen streams, and to each named session is kept. A quiet session resumes however old its
 * last event is.
 */
export class ShardLog {
  readonly #sql: SqlStorage;
  readonly #meta: Meta;
  /** Oldest and newest position. */
  #first = 1;
  #head = 0;
  /** Size of all entries that were ever appended, and of those that are trimmed. */
  #total = 0;
  #trimmed = 0;

  constructor(sql: SqlStorage, meta: Meta) {
    this.#sql = sql;
    this.#meta = meta;
    this.reread();
  }

  /** What is known of the log is what is stored: after the start, and after a change that was rolled back. */
  reread(): void {
    const [oldest, newest] = [this.#edge('ASC'), this.#edge('DESC')];
    this.#first = oldest?.seq ?? 1;
    this.#head = newest?.seq ?? 0;
    this.#total = newest?.total ?? 0;
    this.#trimmed = oldest ? oldest.total - oldest.size : 0;
  }

  get head(): number {
    return this.#head;
  }

  get bytes(): number {
    return this.#total - this.#trimmed;
  }

  get rows(): number {
    return this.#head - this.#first + 1;
  }

  isStored(batch: string): boolean {
    const since = this.#head - RETRY_ROWS;
    return this.#sql.exec('SELECT 1 FROM log WHERE seq > ? AND batch = ? LIMIT 1', since, batch).toArray().length > 0;
  }

  /** @param targets ids of `message.to` that have a session in this shard */
  append(batch: string, message: ShardMessage, targets: readonly string[] | undefined): Appended {
    const seq = this.#head + 1;
    const kind = KIND[message.topic ?? (targets ? 'some' : 'everyone')];
    const size = utf8Length(message.data);
    const whole = size <= WHOLE_BYTES;
    this.#sql.exec(
      'INSERT INTO log (seq, kind, batch, at, size, total, data) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ...[seq, kind, batch, Date.now(), size, this.#total + size, whole ? message.data : null],
    );
    if (!whole) this.#storeParts(seq, encodeText(message.data));
    for (const list of jsonLists(targets ?? [])) {
      this.#sql.exec('INSERT OR IGNORE INTO log_to (sid, seq) SELECT value, ? FROM json_each(?)', seq, list);
    }
    this.#head = seq;
    this.#total += size;
    return { ...message, ...(targets && { to: targets }), seq };
  }

  page(reader: Reader, after: number): { entries: Entry[]; last: boolean } {
    const rows = this.#rowsAfter(reader, after);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const row of rows) {
      entries.push([row.seq, row.data ?? this.#readParts(row.seq)]);
      bytes += row.size;
      if (bytes >= PAGE_BYTES) break;
    }
    return { entries, last: entries.length === rows.length && rows.length < PAGE_ENTRIES };
  }

  /** Position of the newest trimmed entry that a reader was meant to get. */
  trimmedFor(reader: Reader): number {
    if (reader.session === undefined) return Math.max(...reader.topics.map((topic) => this.#trimmedOf(topic)));
    const own = this.#sql
      .exec<{ trimmed: number }>('SELECT trimmed FROM session WHERE sid = ?', reader.session)
      .toArray()[0];
    return Math.max(this.#trimmedOf('everyone'), own?.trimmed ?? 0);
  }

  /** Whether anything for a reader lies behind a position. */
  hasAfter(reader: Reader, after: number): boolean {
    return this.#rowsAfter(reader, after, 1).length > 0;
  }

  trimOlderThan(moment: number): void {
    const kept = this.#sql.exec<{ seq: number }>('SELECT seq FROM log WHERE at >= ? ORDER BY seq LIMIT 1', moment);
    this.#trim((kept.toArray()[0]?.seq ?? this.#head) - 1);
  }

  /** Keeps the newest rows that fit. To three quarters, so that not each append has to trim. */
  trimToSize(maxBytes: number): void {
    if (this.bytes <= maxBytes) return;
    // The first position up to which enough has to go: totals grow with positions, which have no holes.
    let [from, to] = [this.#first, this.#head];
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      if (this.#total - this.#totalAt(middle) <= maxBytes * 0.75) to = middle;
      else from = middle + 1;
    }
    this.#trim(to);
  }

  #trim(upTo: number): void {
    const cut = Math.min(upTo, this.#head - 1);
    if (cut < this.#first) return;
    const newest = this.#sql
      .exec<{ kind: number; seq: number }>('SELECT kind, max(seq) AS seq FROM log WHERE seq <= ? GROUP BY kind', cut)
      .toArray();
    for (const { kind, seq } of newest) {
      const name = TRIMMED.find(([, number]) => number === kind)?.[0];
      if (name !== undefined) this.#meta.set(`trimmed_${name}`, seq);
    }
    this.#sql.exec(
      `UPDATE session SET trimmed = (SELECT max(seq) FROM log_to WHERE log_to.sid = session.sid AND seq <= ?1)
       WHERE sid IN (SELECT sid FROM log_to WHERE seq <= ?1)`,
      cut,
    );
    this.#trimmed = this.#totalAt(cut);
    this.#first = cut + 1;
    for (const table of ['log_to', 'log_part', 'log']) this.#sql.exec(`DELETE FROM ${table} WHERE seq <= ?`, cut);
  }

  #trimmedOf(name: Topic | 'everyone'): number {
    return this.#meta.number(`trimmed_${name}`);
  }

  #edge(order: 'ASC' | 'DESC'): Edge | undefined {
    return this.#sql.exec<Edge>(`SELECT seq, size, total FROM log ORDER BY seq ${order} LIMIT 1`).toArray()[0];
  }

  #totalAt(seq: number): number {
    return this.#sql.exec<{ total: number }>('SELECT total FROM log WHERE seq = ?', seq).one().total;
  }

  #rowsAfter(reader: Reader, after: number, limit: number = PAGE_ENTRIES): Row[] {
    if (reader.session === undefined) {
      return this.#sql
        .exec<Row>(
          `SELECT seq, size, data FROM log
           WHERE seq > ? AND kind IN (${reader.topics.flatMap((topic) => KIND[topic] ?? []).join()})
           ORDER BY seq LIMIT ?`,
          after,
          limit,
        )
        .toArray();
    }
    return this.#sql
      .exec<Row>(
        `SELECT seq, size, data FROM log WHERE seq > ?1 AND kind = ${KIND.everyone}
         UNION ALL
         SELECT log.seq, log.size, log.data FROM log_to JOIN log ON log.seq = log_to.seq
         WHERE log_to.sid = ?2 AND log_to.seq > ?1
         ORDER BY 1 LIMIT ?3`,
        after,
        reader.session,
        limit,
      )
      .toArray();
  }

  #storeParts(seq: number, bytes: Uint8Array): void {
    for (let part = 0; part * PART_BYTES < bytes.length; part += 1) {
      const data = bytes.slice(part * PART_BYTES, (part + 1) * PART_BYTES);
      this.#sql.exec('INSERT INTO log_part (seq, part, data) VALUES (?, ?, ?)', seq, part, data.buffer);
    }
  }

  #readParts(seq: number): string {
    const parts = this.#sql.exec<{ data: ArrayBuffer }>('SELECT data FROM log_part WHERE seq = ? ORDER BY part', seq);
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let text = '';
    for (const { data } of parts) text += decoder.decode(data, { stream: true });
    return text + decoder.decode();
  }
}
