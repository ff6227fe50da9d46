import { infoMigrations } from './info-migrations.ts';
import { type InfoTableNames, infoNames } from './info-names.ts';
import { migrationSql } from './migrate.ts';
import { streamNames } from './names.ts';
import { streamMigrations } from './stream-migrations.ts';

export type PrintSqlOptions = {
  readonly schema: string;
  readonly tableName: string;
  readonly tableNames: InfoTableNames;
};

/** Everything that `create: true` would run, for a person to apply. */
export function printSql({ schema, tableName, tableNames }: PrintSqlOptions): string {
  return `-- Streams and subscriptions/listen: log, claims and beats
${migrationSql(streamMigrations, streamNames(schema, tableName))};

-- Session info: client capabilities, client info, log level, resource subscriptions
${migrationSql(infoMigrations, infoNames(schema, tableNames))};

-- A role that only uses these tables needs usage on the schema, and on the tables select, insert, update and delete.`;
}
