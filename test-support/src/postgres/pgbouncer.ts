import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import { onParentDeath } from '../on-parent-death.ts';
import { serverEnvironment } from '../run-program.ts';
import { makeServerDirectory, serverAccount } from '../server-account.ts';
import { missing, type Service } from '../service.ts';
import { waitFor } from '../wait-for.ts';

/** The program `pgbouncer`, a connection pooler. */
export const pgBouncer: Service<string> = {
  name: 'pgbouncer',
  install: 'apt-get install -y pgbouncer',
  find: () => ['/usr/sbin/pgbouncer', '/usr/local/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer'].find(existsSync),
};

export interface PgBouncerOptions {
  /** The server behind it; user and password in this address are the ones it uses. */
  readonly url: string;
  /** @default 'transaction' */
  readonly poolMode?: 'session' | 'transaction' | 'statement';
  /** Connections to the server for each database. @default 10 */
  readonly poolSize?: number;
}

export interface PgBouncer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The address of the server, by way of the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a pooler of our own in front of a server. */
export async function startPgBouncer({
  url,
  poolMode = 'transaction',
  poolSize = 10,
}: PgBouncerOptions): Promise<PgBouncer> {
  const program = pgBouncer.find();
  if (program === undefined) throw new Error(missing(pgBouncer));
  const host = '127.0.0.1';
  const port = await freePort();
  const home = makeServerDirectory('tmcp-pgbouncer-');
  const configuration = writeConfiguration(home, new URL(url), { host, port, poolMode, poolSize });

  const pooler = spawn(program, [configuration], {
    cwd: '/',
    env: serverEnvironment,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...serverAccount(),
  });
  await once(pooler, 'spawn');
  const exited = once(pooler, 'exit');
  const callOffCleaning = onParentDeath('kill "$1"; rm -rf "$2"', String(pooler.pid), home);
  let log = '';
  pooler.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-100_000);
  });

  async function stop(): Promise<void> {
    // SIGTERM is its immediate shutdown.
    pooler.kill('SIGTERM');
    await exited;
    callOffCleaning();
    rmSync(home, { recursive: true, force: true });
  }

  const isUp = (): boolean => log.includes('process up');
  await waitFor(() => isUp() || pooler.exitCode !== null, { message: () => `pgbouncer to start; its log:\n${log}` });
  if (!isUp()) {
    await stop();
    throw new Error(`pgbouncer did not start; its log:\n${log}`);
  }
  return {
    host,
    port,
    url: Object.assign(new URL(url), { host: `${host}:${port}` }).href,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

interface Listen {
  readonly host: string;
  readonly port: number;
  readonly poolMode: string;
  readonly poolSize: number;
}

function writeConfiguration(home: string, server: URL, { host, port, poolMode, poolSize }: Listen): string {
  const users = join(home, 'users.txt');
  writeFileSync(users, `"${decodeURIComponent(server.username)}" "${decodeURIComponent(server.password)}"\n`, {
    mode: 0o644,
  });
  const configuration = join(home, 'pgbouncer.ini');
  writeFileSync(
    configuration,
    `
[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = ${host}
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits
`,
    { mode: 0o644 },
  );
  return configuration;
}
