import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { serverAccount } from './server-account.ts';

/** Environment of server programs: messages in English, nothing of this process's own settings (`PGHOST` and the like). */
export const serverEnvironment: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** Runs a program to its end; a failure carries what it wrote. */
export async function runProgram(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { cwd: '/' });
  return stdout;
}

/** The same, under the account of the servers. */
export async function runAsServer(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { cwd: '/', env: serverEnvironment, ...serverAccount() });
  return stdout;
}

/** Copies a directory with owners, permissions and links, sharing blocks where the file system can. */
export async function copyDirectory(from: string, to: string): Promise<void> {
  const options = process.platform === 'linux' ? ['-a', '--reflink=auto'] : ['-a'];
  await runProgram('cp', [...options, from, to]);
}
