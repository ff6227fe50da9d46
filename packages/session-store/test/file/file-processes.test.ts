import { mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStorageBackend } from '@tmcp/session-store/file';
import { type NodeProcess, spawnNode, waitFor } from 'test-support';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { COMPILED } from '../compiled-programs.ts';

const WRITERS = 8;
/** Of all processes together, at random moments. */
const KILLS = 200;
/** At the same time, for a process takes a while to start again. */
const KILLERS = 2;
/** Longer than a living writer holds the lock, as a rule. */
const HELD_LONG_MS = 150;
const PROGRAM = new URL('./programs/writer.ts', import.meta.url);

type Told = { created?: string; counted?: number; deleting?: string; deleted?: string };

let folder: string;
let path: string;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const until = (condition: () => boolean): Promise<unknown> =>
  waitFor(async () => condition(), { timeoutMs: 60_000, message: 'a writer to get on' });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'session-file-'));
  path = join(folder, 'sessions.json');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/**
 * Lets the two seconds pass at once that the lock of a dead process is respected for: most of the test would be spent in
 * them, with nobody writing. Now and then it takes the lock from a writer that is only slow, which must do no harm.
 */
async function ageLocks(ended: AbortSignal): Promise<void> {
  const lock = `${path}.lock`;
  while (!ended.aborted) {
    await pause(20);
    const since = (await stat(lock).catch(() => undefined))?.mtimeMs;
    if (since === undefined || Date.now() - since < HELD_LONG_MS) continue;
    // Gone meanwhile, if it fails.
    await utimes(lock, 1, 1).catch(() => undefined);
  }
}

describe('many processes on one file', () => {
  it('processes/killed-at-random: the file is always valid, and nothing acknowledged is lost', {
    timeout: 120_000,
  }, async () => {
    const store = new FileStorageBackend({ path, encryption: '7c'.repeat(32), operationTimeoutMs: 20_000 });
    const required = { serverUrl: 'https://x', callbackUrl: 'https://y', transportType: 'sse' as const };
    await store.create({
      ...required,
      sessionId: 'counter',
      userId: 'shared',
      status: 'active',
      createdAt: Date.now(),
      metadata: { count: 0 },
    });
    const created = new Set<string>();
    const deleting = new Set<string>();
    const deleted = new Set<string>();
    let counted = 0;
    /** Messages of all writers. */
    let messages = 0;
    const counts = new Set<number>();
    let started = 0;
    const start = async (): Promise<NodeProcess> => {
      started += 1;
      const writer = await spawnNode(PROGRAM, [path, `w${started}`, '4000'], COMPILED);
      writer.onMessage((message) => {
        const told = message as Told;
        messages += 1;
        if (told.created !== undefined) created.add(told.created);
        if (told.deleting !== undefined) deleting.add(told.deleting);
        if (told.deleted !== undefined) deleted.add(told.deleted);
        if (told.counted !== undefined) {
          // The version guards the counter, whatever becomes of locks: no count is given twice.
          expect(counts.has(told.counted)).toBe(false);
          counts.add(told.counted);
          counted = Math.max(counted, told.counted);
        }
        return true;
      });
      return writer;
    };
    const writers = await Promise.all(Array.from({ length: WRITERS }, start));
    const outputs: string[] = [];
    /** Kills one process after the other at a moment that nobody can foresee; one in four when something was written. */
    const killer = async (first: number): Promise<void> => {
      for (let kill = first; kill < KILLS; kill += KILLERS) {
        const victim = kill % WRITERS;
        const before = messages;
        if (kill % 8 < KILLERS) await until(() => messages > before);
        await pause(Math.random() * 60);
        const exit = await writers[victim]?.kill();
        if (exit?.signal !== 'SIGKILL') outputs.push(writers[victim]?.output ?? '');
        writers[victim] = await start();
        JSON.parse(await readFile(path, 'utf8'));
      }
    };
    const ended = new AbortController();
    // To the very end: the last ones that are killed leave a lock as well.
    const aging = ageLocks(ended.signal);
    onTestFinished(() => {
      ended.abort();
      return aging;
    });
    try {
      await expect.poll(() => created.size, { timeout: 20_000 }).toBeGreaterThan(WRITERS);
      await Promise.all(Array.from({ length: KILLERS }, (_, first) => killer(first)));
      expect(outputs).toEqual([]);
      const before = created.size;
      await expect.poll(() => created.size, { timeout: 20_000 }).toBeGreaterThan(before + WRITERS);
    } finally {
      await Promise.all(writers.map((writer) => writer.kill()));
    }
    const present = new Map(
      (await store.list('writers', { includeCredentials: true })).map((found) => [found.sessionId, found]),
    );
    const lost = [...created].filter((id) => !deleting.has(id) && !present.has(id));
    const back = [...deleted].filter((id) => present.has(id));
    expect({ lost, back }).toEqual({ lost: [], back: [] });
    for (const [sessionId, found] of present) expect(found.tokens?.access_token).toBe(`token-of-${sessionId}`);
    const { metadata } = (await store.get('shared', 'counter')) ?? expect.unreachable();
    expect(Number(metadata?.count)).toBeGreaterThanOrEqual(counted);
    // The lease of a holder that was killed ends, and drafts and locks of the dead are cleared away.
    expect(await store.withLock('shared', 'counter', async () => 'free', { waitMs: 5_000 })).toBe('free');
    await store.disconnect();
    expect(await readdir(folder)).toEqual(['sessions.json']);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    console.log(`${started} processes, ${created.size} sessions made, counter at ${counted}`);
  });
});
