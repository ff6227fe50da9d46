import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, onParentDeath, waitFor } from 'test-support';

const WRANGLER = fileURLToPath(new URL('bin/wrangler.js', import.meta.resolve('wrangler/package.json')));
const PROJECT = fileURLToPath(new URL('..', import.meta.url));

/** A first start on a slow machine bundles the Worker with cold files. */
const START_TIMEOUT_MS = 60_000;

/** A run of `wrangler dev`, and the call that takes back what happens when the demo dies. */
type Run = { readonly process: ChildProcess; readonly exited: Promise<unknown>; readonly callOff: () => void };

/** Where info about sessions is kept: see `src/sessions.ts`. */
export type SessionInfo = 'durable-objects' | 'kv';

/** `wrangler dev` on a port of its own. What it stores and what it writes beside that stands in a temporary directory. */
export class Runtime implements AsyncDisposable {
  static async start(sessionInfo: SessionInfo): Promise<Runtime> {
    const directory = await mkdtemp(join(tmpdir(), 'example-cloudflare-worker-'));
    const runtime = new Runtime(directory, await freePort(), sessionInfo);
    try {
      await runtime.start();
    } catch (error) {
      await runtime[Symbol.asyncDispose]();
      throw error;
    }
    return runtime;
  }

  readonly port: number;
  /** What it wrote, for when something goes wrong. */
  output = '';
  readonly #directory: string;
  readonly #sessionInfo: SessionInfo;
  #run: Run | undefined;

  private constructor(directory: string, port: number, sessionInfo: SessionInfo) {
    this.#directory = directory;
    this.port = port;
    this.#sessionInfo = sessionInfo;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}/mcp`);
  }

  /** Starts it, or starts it again with what it stored. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [WRANGLER, 'dev', ...this.#arguments()], {
      cwd: PROJECT,
      env: { ...process.env, ...this.#environment() },
      // A process group of its own: wrangler runs the runtime in further processes, and all of them have to end.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    await once(child, 'spawn');
    const callOff = onParentDeath('kill -KILL "-$1"; rm -rf "$2"', String(child.pid), this.#directory);
    this.#run = { process: child, exited, callOff };

    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        this.output += text;
      });
    }
    await waitFor(() => output.includes('Ready on') || child.exitCode !== null || child.signalCode !== null, {
      timeoutMs: START_TIMEOUT_MS,
      message: () => `wrangler dev; it wrote:\n${output}`,
    });
    if (!output.includes('Ready on')) throw new Error(`wrangler dev ended before it was ready; it wrote:\n${output}`);
  }

  /** Ends all its processes at once. None of them can say a word to anybody. */
  async kill(): Promise<void> {
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    const group = -(run.process.pid as number); // It has spawned.
    signalGroup(group, 'SIGKILL');
    await run.exited;
    await waitFor(() => !signalGroup(group, 0), { message: 'the processes of the runtime to end' });
    run.callOff();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #arguments(): string[] {
    const storage = join(this.#directory, 'storage');
    return [
      ...['--ip', '127.0.0.1', '--port', String(this.port), '--inspector-port', '0'],
      ...['--persist-to', storage, '--var', `SESSION_INFO:${this.#sessionInfo}`],
      '--show-interactive-dev-session=false',
    ];
  }

  /** No telemetry, no question, no request to the outside, and nothing in the home directory. */
  #environment(): Record<string, string> {
    const home = join(this.#directory, 'home');
    return {
      CI: '1',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      HOME: home,
      NO_COLOR: '1',
      WRANGLER_HIDE_BANNER: 'true',
      WRANGLER_REGISTRY_PATH: join(home, 'registry'),
      WRANGLER_SEND_ERROR_REPORTS: 'false',
      WRANGLER_SEND_METRICS: 'false',
      XDG_CONFIG_HOME: join(home, '.config'),
    };
  }
}

/** @returns false when the group has no process any more */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}
