import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from '../build-once.ts';
import { runAsServer } from '../run-program.ts';
import { sharedDirectory } from '../server-account.ts';
import type { PostgresDistribution } from './distribution.ts';

export const SUPERUSER = 'postgres';
/** Every server has one, so that tests can show that it never appears in a message. */
export const PASSWORD = 'top-secret-password';

/** An initialised data directory, made once per version and user: `initdb` takes seconds, a copy of its result does not. */
export async function templateDirectory({ version, binDirectory }: PostgresDistribution): Promise<string> {
  const template = join(sharedDirectory('tmcp-test-postgres'), `template-${version}`);
  return buildOnce(template, 'PG_VERSION', async (workshop) => {
    const passwordFile = join(workshop, 'password');
    writeFileSync(passwordFile, PASSWORD, { mode: 0o644 });
    const data = join(workshop, 'data');
    await runAsServer(join(binDirectory, 'initdb'), [
      ...['--pgdata', data, '--username', SUPERUSER, '--pwfile', passwordFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync', '--no-instructions'],
    ]);
    return data;
  });
}
