import type { InfoNames } from './info-names.ts';
import { createInfoTables } from './info-tables.ts';
import type { Migration } from './migrate.ts';

/** Everything that holds session info. */
export const infoMigrations: readonly Migration<InfoNames>[] = [{ id: 1, sql: createInfoTables }];
