/**
 * Tables of a shard. The schema version stands in `meta`, for `PRAGMA user_version` is refused in Durable Objects.
 *
 * No `AUTOINCREMENT`, no further index on `log`: a broadcast is one row written. In return the newest row is never
 * deleted, so that positions are never used twice.
 *
 * `total` is the size of all entries that were ever appended, up to this one: how large the log is, and where it has to
 * be cut, shows in a few of its rows.
 */
const SCHEMA: readonly string[] = [
  'CREATE TABLE IF NOT EXISTS meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID',
  `CREATE TABLE IF NOT EXISTS session (
     sid TEXT PRIMARY KEY,
     epoch TEXT NOT NULL,
     claim TEXT,
     prev TEXT,
     floor INTEGER NOT NULL,
     detach INTEGER NOT NULL,
     resumed INTEGER NOT NULL,
     ended TEXT,
     trimmed INTEGER NOT NULL DEFAULT 0,
     touched INTEGER NOT NULL
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS log (
     seq INTEGER PRIMARY KEY,
     kind INTEGER NOT NULL,
     batch TEXT NOT NULL,
     at INTEGER NOT NULL,
     size INTEGER NOT NULL,
     total INTEGER NOT NULL,
     data TEXT
   )`,
  'CREATE TABLE IF NOT EXISTS log_part (seq INTEGER, part INTEGER, data BLOB, PRIMARY KEY (seq, part)) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS log_to (sid TEXT, seq INTEGER, PRIMARY KEY (sid, seq)) WITHOUT ROWID',
];

export const SCHEMA_VERSION = 1;

/** Creates what is missing. @throws where the class was deployed without SQL */
export function createTables(sql: SqlStorage): void {
  for (const statement of SCHEMA) sql.exec(statement);
}
