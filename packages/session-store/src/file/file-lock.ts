import { type Deadline, jittered, pause } from '../deadline.ts';
import { codeOf, type NodeModules } from './node-modules.ts';

const FIRST_POLL_MS = 5;
const LONGEST_POLL_MS = 100;

export type FileLock = {
  /** Whether somebody took it for the lock of a dead process. */
  readonly lost: boolean;
  release(): Promise<void>;
};

/**
 * The lock of all processes that change one file: `<file>.lock`, a folder that its holder keeps fresh. It makes writers
 * take turns; a holder that stood still for long may find that it has company, for which `SessionFile` is prepared.
 *
 * @param staleMs a lock that was not kept fresh for so long is that of a dead process
 * @returns `undefined` when the lock was not free in time
 */
export async function lockFile(
  { lockfile }: NodeModules,
  file: string,
  staleMs: number,
  deadline: Deadline,
): Promise<FileLock | undefined> {
  let lost = false;
  const options = {
    realpath: false,
    stale: staleMs,
    // The default throws in a timer, which ends the process.
    onCompromised: () => {
      lost = true;
    },
  };
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(2 * pollMs, LONGEST_POLL_MS)) {
    try {
      const release = await lockfile.lock(file, options);
      return {
        get lost() {
          return lost;
        },
        release: () => (lost ? Promise.resolve() : release()),
      };
    } catch (error) {
      // Made, and taken away at once by somebody else. Where it cannot be made, waiting does not help.
      const taken = codeOf(error) === 'ENOENT' && syscallOf(error) !== 'mkdir';
      if (!taken && codeOf(error) !== 'ELOCKED') throw error;
    }
    if (deadline.passed) return undefined;
    await pause(Math.min(jittered(pollMs), deadline.leftMs()));
  }
}

function syscallOf(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? error.syscall : undefined;
}
