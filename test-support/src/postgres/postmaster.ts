import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { childrenOf, isRunning, signal } from '../process-tree.ts';
import { serverEnvironment } from '../run-program.ts';
import { serverAccount } from '../server-account.ts';
import { waitFor } from '../wait-for.ts';

/** Values for `postgresql.conf`. */
export type PostgresSettings = Readonly<Record<string, string | number | boolean>>;

/** One run of a PostgreSQL server on a data directory, from start to end. */
export class Postmaster {
  /** Starts the server, and resolves when it takes connections. */
  static async start(binDirectory: string, dataDirectory: string, settings: PostgresSettings): Promise<Postmaster> {
    const parameters = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const process = spawn(join(binDirectory, 'postgres'), ['-D', dataDirectory, ...parameters], {
      cwd: '/',
      env: serverEnvironment,
      // A process group of its own: Ctrl-C must not end the server before those that use it have said goodbye to it.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...serverAccount(),
    });
    await once(process, 'spawn');
    const postmaster = new Postmaster(process);
    await postmaster.#ready();
    return postmaster;
  }

  readonly pid: number;
  readonly exited: Promise<unknown>;
  readonly #process: ChildProcess;
  #log = '';

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.pid = process.pid as number; // It has spawned.
    this.exited = once(process, 'exit');
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      // A storm of errors that a test provokes must not fill the memory.
      this.#log = (this.#log + text).slice(-1_000_000);
    });
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** What the server has written to its log, at most the last million characters. */
  get log(): string {
    return this.#log;
  }

  /** Fast shutdown: connections are ended, a checkpoint is written. */
  async stop(): Promise<void> {
    this.thaw();
    this.#process.kill('SIGINT');
    const late = setTimeout(() => this.#killAll(), 20_000);
    await this.exited;
    clearTimeout(late);
  }

  /** SIGKILL to everything at once, as when the machine loses power. */
  async kill(): Promise<void> {
    const children = childrenOf(this.pid);
    this.#killAll();
    await this.exited;
    // The next server does not start while one of them still holds the shared memory.
    await waitFor(() => !children.some(isRunning), { message: 'the processes of PostgreSQL to end' });
  }

  /** SIGSTOP to everything: connections stay open, nobody answers. */
  freeze(): void {
    // The parent first, so that no child is born unseen.
    signal([this.pid], 'SIGSTOP');
    signal(childrenOf(this.pid), 'SIGSTOP');
  }

  thaw(): void {
    signal([...childrenOf(this.pid), this.pid], 'SIGCONT');
  }

  #killAll(): void {
    signal([this.pid], 'SIGSTOP');
    signal([...childrenOf(this.pid), this.pid], 'SIGKILL');
  }

  async #ready(): Promise<void> {
    const isReady = (): boolean => this.#log.includes('database system is ready to accept connections');
    await waitFor(() => isReady() || !this.isRunning, {
      timeoutMs: 60_000,
      message: () => `PostgreSQL to start; its log:\n${this.#log}`,
    });
    if (!this.isRunning) throw new Error(`PostgreSQL did not start; its log:\n${this.#log}`);
  }
}
