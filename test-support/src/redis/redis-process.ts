import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { serverEnvironment } from '../run-program.ts';
import { serverAccount } from '../server-account.ts';

/** One run of a Redis server or sentinel, from start to end. */
export class RedisProcess {
  static async spawn(program: string, args: readonly string[]): Promise<RedisProcess> {
    const child = spawn(program, args, {
      cwd: '/',
      env: serverEnvironment,
      // A process group of its own: Ctrl-C must not end the server before those that use it have said goodbye to it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...serverAccount(),
    });
    await once(child, 'spawn');
    return new RedisProcess(child);
  }

  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #log = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid as number; // It has spawned.
    this.#exited = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-1_000_000);
      });
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it has written, at most the last million characters. */
  get log(): string {
    return this.#log;
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it with a signal, frozen or not, and resolves when it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    this.thaw();
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#exited;
    clearTimeout(late);
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#exited;
  }
}
