import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { freePort } from '../free-port.ts';
import { onParentDeath } from '../on-parent-death.ts';
import { copyDirectory } from '../run-program.ts';
import { makeServerDirectory } from '../server-account.ts';
import { missing } from '../service.ts';
import { embeddedPostgres, type PostgresDistribution, systemPostgres } from './distribution.ts';
import { type PostgresSettings, Postmaster } from './postmaster.ts';
import { queryOnce, type Row } from './query-once.ts';
import { PASSWORD, SUPERUSER, templateDirectory } from './template.ts';

export interface PostgresServerOptions {
  /** `embedded` comes from npm, `system` is the newest of Debian's packages. @default 'embedded' */
  readonly distribution?: 'embedded' | 'system';
  /**
   * Added to `postgresql.conf`. By default nothing is flushed to disk (`fsync = off`): killed processes lose nothing by
   * that, for the operating system lives on. Benchmarks that claim durability turn it on.
   */
  readonly settings?: PostgresSettings;
}

/** A PostgreSQL server of our own, on a loopback port, with a data directory that is removed in the end. */
export class PostgresServer implements AsyncDisposable {
  static async start({
    distribution = 'embedded',
    settings = {},
  }: PostgresServerOptions = {}): Promise<PostgresServer> {
    const programs = await findDistribution(distribution);
    const home = makeServerDirectory('tmcp-postgres-');
    const server = new PostgresServer(programs, home, await freePort(), settings);
    try {
      await copyDirectory(await templateDirectory(programs), server.#data);
      await server.#run();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  readonly host: string = '127.0.0.1';
  readonly port: number;
  /** Version of the distribution, for example `18.4.0-beta.17` or `15`. */
  readonly version: string;
  readonly #programs: PostgresDistribution;
  readonly #home: string;
  readonly #settings: PostgresSettings;
  readonly #callOffCleaning: () => void;
  #postmaster: Postmaster | undefined;
  #snapshots = 0;

  private constructor(programs: PostgresDistribution, home: string, port: number, settings: PostgresSettings) {
    this.port = port;
    this.version = programs.version;
    this.#programs = programs;
    this.#home = home;
    this.#settings = settings;
    this.#callOffCleaning = onParentDeath(CLEAN_UP, this.#data, home);
  }

  /** Address of the database `postgres`, for the superuser, password included. */
  get url(): string {
    return this.#urlOf('postgres');
  }

  /** The main process of the server, as long as it runs. */
  get pid(): number | undefined {
    return this.#postmaster?.isRunning ? this.#postmaster.pid : undefined;
  }

  /** What the server wrote to its log since its last start. */
  get log(): string {
    return this.#postmaster?.log ?? '';
  }

  /** Runs one statement as superuser, on a connection of its own. */
  query<R extends Row = Row>(sql: string, values?: unknown[]): Promise<R[]> {
    return queryOnce<R>(this.url, sql, values);
  }

  /** @returns the address of a new, empty database. */
  async createDatabase(name: string = randomName('db')): Promise<string> {
    await this.query(`create database ${escapeIdentifier(name)}`);
    return this.#urlOf(name);
  }

  /**
   * Creates a role that can log in and has no other rights than everybody.
   *
   * @returns the address of the database in `url` for that role.
   */
  async createRole(url: string = this.url, name: string = randomName('role')): Promise<string> {
    const password = randomBytes(9).toString('hex');
    await this.query(`create role ${escapeIdentifier(name)} login password ${escapeLiteral(password)}`);
    return Object.assign(new URL(url), { username: encodeURIComponent(name), password }).href;
  }

  /**
   * Has the server end client connections (`pg_terminate_backend`).
   *
   * @param condition - SQL on `pg_stat_activity`, for example `query like 'LISTEN%'`.
   * @returns how many these were.
   */
  async terminate(condition: string = 'true'): Promise<number> {
    const ended = await this.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid() and (${condition})`,
    );
    return ended.length;
  }

  /** Orderly shutdown and start on the same port. */
  async restart(): Promise<void> {
    await this.#postmaster?.stop();
    await this.#run();
  }

  /** SIGKILL to every process of the server: nothing is said to anybody, as when its machine loses power. */
  async kill(): Promise<void> {
    await this.#postmaster?.kill();
  }

  /** `kill`, then start and recovery on the same port. */
  async crashRestart(): Promise<void> {
    await this.kill();
    await this.#run();
  }

  /** Orderly shutdown; `start` brings the server back with its data. */
  async shutDown(): Promise<void> {
    await this.#postmaster?.stop();
  }

  /** Starts a server again that was killed or shut down. */
  async start(): Promise<void> {
    if (this.#postmaster?.isRunning) return;
    await this.#run();
  }

  /** SIGSTOP to every process of the server: connections stay open and nobody answers. */
  freeze(): void {
    this.#postmaster?.freeze();
  }

  /** SIGCONT after `freeze`. */
  thaw(): void {
    this.#postmaster?.thaw();
  }

  /** Restarts the server, keeping a copy of all its data. @returns a name for `restore`. */
  async snapshot(): Promise<string> {
    this.#snapshots += 1;
    const id = `snapshot-${this.#snapshots}`;
    await this.shutDown();
    await copyDirectory(this.#data, join(this.#home, id));
    await this.#run();
    return id;
  }

  /** Restarts the server on the data of a snapshot, as after a restore from a backup. */
  async restore(id: string): Promise<void> {
    await this.shutDown();
    rmSync(this.#data, { recursive: true });
    await copyDirectory(join(this.#home, id), this.#data);
    await this.#run();
  }

  /** Stops the server and removes all its data. */
  async stop(): Promise<void> {
    if (this.#postmaster?.isRunning) await this.#postmaster.stop();
    this.#callOffCleaning();
    rmSync(this.#home, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #data(): string {
    return join(this.#home, 'data');
  }

  async #run(): Promise<void> {
    this.#postmaster = await Postmaster.start(this.#programs.binDirectory, this.#data, {
      listen_addresses: this.host,
      port: this.port,
      unix_socket_directories: '',
      fsync: false,
      max_connections: 200,
      ...this.#settings,
    });
  }

  #urlOf(database: string): string {
    return `postgres://${SUPERUSER}:${PASSWORD}@${this.host}:${this.port}/${encodeURIComponent(database)}`;
  }
}

/** @see PostgresServer */
export function startPostgres(options?: PostgresServerOptions): Promise<PostgresServer> {
  return PostgresServer.start(options);
}

/** For `onParentDeath`: ends a server whose starter was killed, frozen or not, and removes its files. */
const CLEAN_UP = `
  if read -r pid < "$1/postmaster.pid"; then
    children=$(cat "/proc/$pid/task/$pid/children" || ps -A -o pid=,ppid= | awk -v p="$pid" '$2 == p { print $1 }')
    kill -QUIT "$pid" $children
    kill -CONT "$pid" $children
  fi
  rm -rf "$2"
`;

async function findDistribution(distribution: 'embedded' | 'system'): Promise<PostgresDistribution> {
  if (distribution === 'embedded') return embeddedPostgres();
  const found = systemPostgres.find();
  if (found === undefined) throw new Error(missing(systemPostgres));
  return found;
}

function randomName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString('hex')}`;
}
