import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { type Deadline, pause } from '../deadline.ts';
import { configError } from '../session-errors.ts';
import { codeOf, type NodeModules } from './node-modules.ts';

const PRIVATE_FILE = 0o600;
const PRIVATE_FOLDER = 0o700;
const OPEN_TO_OTHERS = 0o077n;
const BUSY_RETRY_MS = 20;

/** Which version of the file it is. Every version has another time of change than the one before. */
export type FileStamp = { readonly mtimeNs: bigint; readonly size: bigint; readonly ino: bigint };

export type FileContent = {
  /** `undefined` when the file is not UTF-8. */
  readonly text: string | undefined;
  readonly stamp: FileStamp | undefined;
  readonly changedAt: number;
};

/** A version that is being written. */
export type Draft = {
  /** @returns the stamp of the new version, or `undefined` when another writer removed the draft: nothing was changed */
  commit(text: string, before: FileStamp | undefined, deadline: Deadline): Promise<FileStamp | undefined>;
  discard(): Promise<void>;
};

/**
 * One file that is replaced as a whole: a reader sees the old version or the new one.
 *
 * Writers take turns by a lock. Should two believe that they hold it, drafts decide: each makes its own draft first,
 * then removes those of all others, and only then reads what it will change. Of two such writers the one whose draft
 * was removed cannot rename it into place, and a draft that was renamed before is seen by the reading of the other. So
 * no version is ever built on one that is not the latest. Drafts of dead writers go the same way.
 */
export class SessionFile {
  readonly path: string;
  readonly #node: NodeModules;
  readonly #folder: string;
  readonly #name: string;

  private constructor(node: NodeModules, path: string) {
    this.#node = node;
    this.path = path;
    this.#folder = node.path.dirname(path);
    this.#name = node.path.basename(path);
  }

  /** Follows symbolic links, so that they survive, and makes the folder. */
  static async open(node: NodeModules, given: string): Promise<SessionFile> {
    const path = await resolveLinks(node, node.path.resolve(given));
    const file = new SessionFile(node, path);
    await makeFolder(node, file.#folder);
    await file.assertWritable();
    // Rights do not tell everything: root may write anywhere, and finds out in /proc, or where no space is left.
    await (await file.#newDraft()).discard();
    return file;
  }

  /** Rejects when no new version could be written. */
  async assertWritable(): Promise<void> {
    const { access, constants } = this.#node.fs;
    await access(this.#folder, constants.W_OK | constants.X_OK);
  }

  /** `undefined` when it is still the known version. A file that does not exist is empty, if its folder does. */
  async readUnless(known: FileStamp | undefined): Promise<FileContent | undefined> {
    try {
      const seen = await this.#node.fs.stat(this.path, { bigint: true });
      if (known !== undefined && isSame(known, seen)) return undefined;
      // Others hang, or are lost when a new version takes their place: root could put it there instead of /dev/null.
      if (!seen.isFile() && !seen.isDirectory()) {
        throw configError(`The session file has to be an ordinary file, and ${this.path} is none`);
      }
      const handle = await this.#node.fs.open(this.path, 'r');
      try {
        const stats = await handle.stat({ bigint: true });
        // Not as 'utf8', which puts U+FFFD in the place of what it cannot read.
        const text = decode(await handle.readFile());
        return { text, stamp: stampOf(stats), changedAt: Number(stats.mtimeNs / 1_000_000n) };
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      // Without its folder nobody knows what is in the file: a volume may not be mounted.
      await this.#node.fs.stat(this.#folder);
      return { text: '', stamp: undefined, changedAt: 0 };
    }
  }

  /** @returns whether others could read the file before */
  async makePrivate(): Promise<boolean> {
    if (isWindows()) return false;
    try {
      const { mode } = await this.#node.fs.stat(this.path, { bigint: true });
      if ((mode & OPEN_TO_OTHERS) === 0n) return false;
      await this.#node.fs.chmod(this.path, PRIVATE_FILE);
      return true;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** To be called before reading what the new version is made from. */
  async draft(): Promise<Draft> {
    const { name, discard, ...draft } = await this.#newDraft();
    try {
      await this.#removeOtherDrafts(name);
    } catch (error) {
      await discard();
      throw error;
    }
    return { ...draft, discard };
  }

  async #newDraft(): Promise<Draft & { readonly name: string }> {
    const { fs, path } = this.#node;
    const name = `${this.#name}.${crypto.randomUUID()}.tmp`;
    const draftPath = path.join(this.#folder, name);
    const handle = await fs.open(draftPath, 'wx', PRIVATE_FILE);
    let open = true;
    const close = async (): Promise<void> => {
      if (open) await handle.close();
      open = false;
    };
    return {
      name,
      discard: async () => {
        await close();
        await fs.rm(draftPath, { force: true });
      },
      commit: async (text, before, deadline) => {
        const stamp = await writeAll(handle, text, before);
        await close();
        return (await this.#rename(draftPath, deadline)) ? stamp : undefined;
      },
    };
  }

  /** Makes sure that the new name survives a loss of power. */
  async syncFolder(): Promise<void> {
    if (isWindows()) return;
    const folder = await this.#node.fs.open(this.#folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async #removeOtherDrafts(own: string): Promise<void> {
    const { fs, path } = this.#node;
    for (const name of await fs.readdir(this.#folder)) {
      const token = name.slice(this.#name.length + 1, -'.tmp'.length);
      const isDraft = name === `${this.#name}.${token}.tmp` && /^[0-9a-f-]{36}$/.test(token);
      if (isDraft && name !== own) await fs.rm(path.join(this.#folder, name), { force: true });
    }
  }

  async #rename(draftPath: string, deadline: Deadline): Promise<boolean> {
    for (;;) {
      try {
        await this.#node.fs.rename(draftPath, this.path);
        return true;
      } catch (error) {
        const code = codeOf(error);
        if (code === 'ENOENT') return false;
        // Windows refuses to replace a file that somebody has open.
        const busy = isWindows() && (code === 'EPERM' || code === 'EACCES' || code === 'EBUSY');
        if (!busy || deadline.passed) throw error;
      }
      await pause(BUSY_RETRY_MS);
    }
  }
}

/** File systems count time in steps, and a number of a file is used again: each version is made later than the last. */
async function writeAll(handle: FileHandle, text: string, before: FileStamp | undefined): Promise<FileStamp> {
  await handle.writeFile(text, 'utf8');
  let stats = await handle.stat({ bigint: true });
  if (before !== undefined && stats.mtimeNs / 1_000_000n <= before.mtimeNs / 1_000_000n) {
    // In the middle of a millisecond: a time in seconds is a fraction that may be cut down to the one before.
    const next = (Number(before.mtimeNs / 1_000_000n) + 1.5) / 1_000;
    await handle.utimes(next, next);
    stats = await handle.stat({ bigint: true });
  }
  await handle.sync();
  return stampOf(stats);
}

/**
 * With the folders above it. Not by `recursive`, which tries for ever where a folder is there and another cannot be made
 * in it, as in /proc.
 */
async function makeFolder({ fs, path }: NodeModules, folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; !(await isFolder(fs, at)); at = path.dirname(at)) missing.unshift(at);
  for (const one of missing) {
    await fs.mkdir(one, { mode: PRIVATE_FOLDER }).catch((error: unknown) => {
      // Another process was faster.
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  }
}

/** @throws the error of the file system when it is there and no folder, or when nobody can tell */
async function isFolder(fs: NodeModules['fs'], path: string): Promise<boolean> {
  try {
    // With a slash at its end a path can be nothing else.
    await fs.stat(`${path}/`);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return false;
  }
}

async function resolveLinks({ fs, path }: NodeModules, given: string, depth = 0): Promise<string> {
  try {
    return await fs.realpath(given);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  // The file does not exist yet; it may be a link to a place that does not exist yet.
  const link = await fs.readlink(given).catch(() => undefined);
  if (link === undefined || depth > 8) return given;
  return resolveLinks({ fs, path } as NodeModules, path.resolve(path.dirname(given), link), depth + 1);
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // The caller is told, and the file is left alone.
    return undefined;
  }
}

function stampOf({ mtimeNs, size, ino }: BigIntStats): FileStamp {
  return { mtimeNs, size, ino };
}

function isSame(a: FileStamp, b: FileStamp): boolean {
  return a.mtimeNs === b.mtimeNs && a.size === b.size && a.ino === b.ino;
}

function isWindows(): boolean {
  return process.platform === 'win32';
}
