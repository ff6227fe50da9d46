import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/**
 * Runs a shell script when this process is gone, however it went: a test runner kills its workers without a word, and no
 * `exit` handler runs then. A shell waits for the end of its standard input, which the system closes with this process.
 *
 * @returns a function that calls it off.
 */
export function onParentDeath(script: string, ...args: readonly string[]): () => void {
  const shell = spawn('sh', ['-c', `cat >/dev/null\n${script}`, 'on-parent-death', ...args], {
    cwd: '/',
    // A process group of its own: Ctrl-C must not end the shell before its work is done.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  (shell.stdin as Socket).unref();
  shell.stdin.on('error', () => {
    // The shell was called off.
  });
  return () => {
    // The whole group, for `cat` would go on waiting.
    if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
  };
}
