import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type BackendName, backends } from './backends.ts';
import { Balancer } from './balancer.ts';

const PROGRAM = fileURLToPath(new URL('./serve.ts', import.meta.url));

/** How long a process may take to end by itself before it is ended. */
const GRACE_MS = 5_000;

export type ClusterOptions = {
  readonly backend: BackendName;
  /** Where the backend is. */
  readonly address: string;
  /** File of the notebook that the processes share. */
  readonly notebook: string;
  /** Port of the load balancer; 0 takes a free one. */
  readonly port: number;
  /** What the processes write, line by line. */
  readonly onOutput?: (process: string, line: string) => void;
  /** A process ended that was running and that nobody had asked to. */
  readonly onCrash?: (process: string, how: string) => void;
};

/** Server processes behind a load balancer. They are named A, B, C and so on. */
export class Cluster implements AsyncDisposable {
  static async start(processes: number, options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options, await Balancer.start(options.port));
    try {
      await Promise.all(Array.from({ length: processes }, () => cluster.startProcess()));
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  readonly balancer: Balancer;
  readonly #options: ClusterOptions;
  readonly #processes = new Map<string, ChildProcess>();
  #started = 0;

  private constructor(options: ClusterOptions, balancer: Balancer) {
    this.#options = options;
    this.balancer = balancer;
  }

  /** Address of the load balancer. */
  get url(): string {
    return this.balancer.url;
  }

  /** Names of the running processes. */
  get names(): string[] {
    return [...this.#processes.keys()].sort();
  }

  /** Starts one more process and puts it behind the load balancer. @returns its name */
  async startProcess(): Promise<string> {
    const name = nameOf(this.#started++);
    const { backend, address, notebook } = this.#options;
    const child = fork(PROGRAM, ['--name', name, '--backend', backend, '--notebook', notebook], {
      // Not an argument: it holds a password, and everybody on the machine can read arguments.
      env: { ...process.env, [backends[backend].variable]: address },
      execArgv: [],
      silent: true,
    });
    this.#processes.set(name, child);
    this.#forwardOutput(name, child);
    let running = false;
    child.once('exit', (code, signal) => {
      this.balancer.remove(name);
      if (this.#processes.delete(name) && running) this.#options.onCrash?.(name, signal ?? `exit code ${code}`);
    });
    this.balancer.add(name, await portOf(name, child));
    running = true;
    return name;
  }

  /** Ends a process with SIGKILL: it can do nothing any more, not even close its connections. */
  async kill(name: string): Promise<void> {
    await this.#end(name, 'SIGKILL');
  }

  /** Has a process end in good order. */
  async stop(name: string): Promise<void> {
    // First out of the load balancer: what comes from now on goes elsewhere.
    this.balancer.remove(name);
    await this.#end(name, 'SIGTERM');
  }

  /** Stops every process, then the load balancer. */
  async close(): Promise<void> {
    await Promise.all(this.names.map((name) => this.stop(name)));
    await this.balancer.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#processes.get(name);
    if (!child || !this.#processes.delete(name)) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    const impatience = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await exited;
    clearTimeout(impatience);
  }

  #forwardOutput(name: string, child: ChildProcess): void {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n').filter(Boolean)) this.#options.onOutput?.(name, line);
      });
    }
  }
}

/** A, B, ... Z, then P27, P28, ... */
function nameOf(index: number): string {
  return index < 26 ? String.fromCharCode('A'.charCodeAt(0) + index) : `P${index + 1}`;
}

/** Waits until a process has said where it listens. */
async function portOf(name: string, child: ChildProcess): Promise<number> {
  const [answer] = await Promise.race([
    once(child, 'message') as Promise<[{ readonly port: number }]>,
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`Process ${name} ended at its start (${code})`))),
  ]);
  return answer.port;
}
