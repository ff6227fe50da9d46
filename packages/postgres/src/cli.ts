#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { SessionError } from '@tmcp/session-manager';
import { printSql } from './schema/print-sql.ts';

const USAGE = `Prints the SQL that creates or updates the tables of the TMCP session managers, for set-ups
where the application may not create tables ("create: false"). It can be applied again at any time.

  npx tmcp-sessions-postgres sql [--table-name tmcp_sessions] [--schema public] | psql <database>
`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'table-name': { type: 'string', default: 'tmcp_sessions' },
      schema: { type: 'string', default: 'public' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
  } else if (positionals.length !== 1 || positionals[0] !== 'sql') {
    throw new SessionError('invalid-option', `the command is "sql"\n\n${USAGE}`);
  } else {
    console.log(printSql({ schema: values.schema, tableName: values['table-name'] }));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
