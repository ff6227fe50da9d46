import { migrationSql } from './migrate.ts';
import { streamNames } from './names.ts';
import { streamMigrations } from './stream-migrations.ts';

export type PrintSqlOptions = {
  readonly schema: string;
  readonly tableName: string;
};

/** Everything that `create: true` would run, for a person to apply. */
export function printSql({ schema, tableName }: PrintSqlOptions): string {
  return `-- Streams: log, claims and beats
${migrationSql(streamMigrations, streamNames(schema, tableName))};

-- A role that only uses these tables needs: usage on the schema; select, insert, update and delete on the tables.
`;
}
