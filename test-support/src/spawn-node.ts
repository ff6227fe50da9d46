import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onParentDeath } from './on-parent-death.ts';
import { waitFor } from './wait-for.ts';

export interface NodeExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface NextMessageOptions {
  /** @default 10_000 */
  readonly timeoutMs?: number;
}

/** A child process that runs a program of ours and speaks JSON with us: `process.send` and `process.on('message')`. */
export interface NodeProcess extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<NodeExit>;
  /** Everything it has written so far to standard output and standard error. */
  readonly output: string;
  send(message: unknown): void;
  /** Takes the oldest message that fits and that nobody has taken yet, or waits for it. */
  nextMessage<T>(fits?: (message: T) => boolean, options?: NextMessageOptions): Promise<T>;
  /** For messages too many to be waited for one by one: `listener` is told of each as it comes, and takes it by returning true. */
  onMessage(listener: (message: unknown) => boolean): void;
  /** SIGSTOP: nothing of it runs any more, its connections stay open. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** Sends the signal and waits for the end. @default 'SIGKILL' */
  kill(signal?: NodeJS.Signals): Promise<NodeExit>;
}

/**
 * Starts `node file ...args`, with `env` added to the environment of this process. The child ends with this process at the
 * latest.
 */
export async function spawnNode(
  file: string | URL,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<NodeProcess> {
  const path = file instanceof URL ? file.pathname : file;
  const child = spawn(process.execPath, [path, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const exited = once(child, 'exit').then(([code, signal]): NodeExit => ({ code, signal }));
  await once(child, 'spawn');
  const pid = child.pid as number; // It has spawned.

  const callOff = onParentDeath('kill -KILL "$1"', String(pid));
  void exited.then(callOff);

  const messages: unknown[] = [];
  const listeners: ((message: unknown) => boolean)[] = [];
  child.on('message', (message) => {
    if (!listeners.some((listener) => listener(message))) messages.push(message);
  });

  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }

  return {
    pid,
    exited,
    get output() {
      return output;
    },
    // It may be gone by now, which `exited` tells; without a callback this would be an event that nobody handles.
    send: (message) => void child.send(message as object, () => undefined),
    nextMessage<T>(fits: (message: T) => boolean = () => true, { timeoutMs = 10_000 }: NextMessageOptions = {}) {
      return waitFor(
        async () => {
          const index = messages.findIndex((message) => fits(message as T));
          if (index >= 0) return { message: messages.splice(index, 1)[0] as T };
          return undefined;
        },
        { timeoutMs, message: () => `a message of process ${pid}; its output:\n${output}` },
      ).then(({ message }) => message);
    },
    onMessage(listener) {
      listeners.push(listener);
      // What has come before is told as well, in its order.
      messages.splice(0, messages.length, ...messages.filter((message) => !listener(message)));
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill(signal = 'SIGKILL') {
      child.kill(signal);
      return exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
