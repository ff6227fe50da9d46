#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { readOptions } from '@tmcp/session-manager';
import { tableNameRule } from './options.ts';
import { DEFAULT_INFO_TABLES as INFO } from './schema/info-names.ts';
import { printSql } from './schema/print-sql.ts';

const USAGE = `Prints the SQL that creates or updates the tables of the TMCP session managers, for set-ups in which
the application may not create tables ("create: false"). It can be applied again at any time.

  npx tmcp-sessions-postgres sql [options] | psql <database>

  --schema <name>                schema of the tables (public)
  --table-name <name>            option "tableName" of the streams (tmcp_sessions)
  --client-capabilities <name>   option "tableNames" of the info: "clientCapabilities" (${INFO.clientCapabilities})
  --client-info <name>           "clientInfo" (${INFO.clientInfo})
  --log-level <name>             "logLevel" (${INFO.logLevel})
  --subscriptions <name>         "subscriptions" (${INFO.subscriptions})`;

const names = {
  schema: tableNameRule('public', 63),
  'table-name': tableNameRule('tmcp_sessions'),
  'client-capabilities': tableNameRule(INFO.clientCapabilities),
  'client-info': tableNameRule(INFO.clientInfo),
  'log-level': tableNameRule(INFO.logLevel),
  subscriptions: tableNameRule(INFO.subscriptions),
};

function run(): string {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...Object.fromEntries(Object.keys(names).map((name) => [name, { type: 'string' as const }])),
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { help, ...given } = values;
  if (help) return USAGE;
  if (positionals.length !== 1 || positionals[0] !== 'sql') throw new Error(`the command is "sql"\n\n${USAGE}`);
  const read = readOptions('tmcp-sessions-postgres', given, names);
  return printSql({
    schema: read.schema,
    tableName: read['table-name'],
    tableNames: {
      clientCapabilities: read['client-capabilities'],
      clientInfo: read['client-info'],
      logLevel: read['log-level'],
      subscriptions: read.subscriptions,
    },
  });
}

try {
  console.log(run());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
