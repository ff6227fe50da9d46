import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account that servers run under when we are root, for PostgreSQL and pgbouncer refuse to be started by root: `postgres`
 * where it exists, else `nobody`. `undefined` when we are not root: they run as we do.
 */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return accountOf('postgres') ?? accountOf('nobody');
}

/** A new directory that belongs to the account of the servers. */
export function makeServerDirectory(prefix: string, parent: string = readableTemporaryDirectory()): string {
  const directory = mkdtempSync(join(parent, prefix));
  giveToServer(directory);
  return directory;
}

/** Makes files and directories belong to the account of the servers. */
export function giveToServer(...paths: readonly string[]): void {
  const account = serverAccount();
  if (account === undefined) return;
  for (const path of paths) chownSync(path, account.uid, account.gid);
}

/** A directory for what several runs and processes share. */
export function sharedDirectory(name: string): string {
  const account = serverAccount();
  const user = process.getuid?.() ?? 0;
  const directory = join(readableTemporaryDirectory(), `${name}-${user}-${account?.uid ?? user}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (statSync(directory).uid !== user) throw new Error(`${directory} belongs to somebody else`);
  if (account !== undefined) chmodSync(directory, 0o755);
  return directory;
}

/** Whether every account can enter this directory, or run this program: it and all its parents allow it. */
export function isOpenToAll(path: string): boolean {
  if ((statSync(path).mode & 0o001) === 0) return false;
  const parent = dirname(path);
  return parent === path || isOpenToAll(parent);
}

function readableTemporaryDirectory(): string {
  const directory = tmpdir();
  if (serverAccount() === undefined || isOpenToAll(directory)) return directory;
  return '/tmp';
}

function accountOf(name: string): Account | undefined {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return undefined;
  }
}
