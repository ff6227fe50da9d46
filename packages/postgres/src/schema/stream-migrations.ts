import { createAppendFunction } from './append-function.ts';
import type { Migration } from './migrate.ts';
import type { StreamNames } from './names.ts';
import { createStreamTables } from './stream-tables.ts';

/** Everything that holds streams. */
export const streamMigrations: readonly Migration<StreamNames>[] = [
  { id: 1, sql: createStreamTables },
  { id: 2, sql: createAppendFunction },
];
