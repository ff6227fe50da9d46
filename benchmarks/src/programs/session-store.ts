// Keeps client sessions: `node session-store.ts <kind> <store> <url>`.

import type { Figures } from '../measure/rounds.ts';
import { percentile } from '../measure/statistics.ts';
import { openStore, type StoreName } from '../session-stores/index.ts';
import { COUNTER, type SampleSession } from '../session-stores/measured-store.ts';
import type { StoreKind } from '../session-stores/place.ts';
import { sampleChange, sampleSession } from '../session-stores/sample.ts';
import { serve } from './serve.ts';

const USER = 'user';
/** Creations of one round at most: what they leave behind must not grow what the others are measured with. */
const MOST_CREATED = 100;
const AT_ONCE = 64;

const [kind, name, url = ''] = process.argv.slice(2);
const store = await openStore(kind as StoreKind, name as StoreName, url);
let created = 0;

serve({
  async fill(count: number): Promise<void> {
    const sessions = Array.from({ length: count }, (_, i) => sampleSession(USER, idOf(i)));
    // Writes that meet can leave a file of the published store that nobody can read.
    const atOnce = kind === 'file' && name === 'published' ? 1 : AT_ONCE;
    for (let from = 0; from < count; from += atOnce) {
      await Promise.all(sessions.slice(from, from + atOnce).map((session) => store.create(session)));
    }
  },

  create: () => create(),
  get: () => get(0),
  list: () => list(),
  update: () => store.update(USER, idOf(0), sampleChange('once')),
  read: (index: number): Promise<SampleSession | null> => store.get(USER, idOf(index)),

  /** One operation after the other for so long each, then 64 updates at a time. */
  async time({ sampleMs, sessions }: { sampleMs: number; sessions: number }): Promise<Figures> {
    const createMs = await sample(sampleMs, create, MOST_CREATED);
    const getMs = await sample(sampleMs, (i) => get(i % sessions));
    const listMs = await sample(sampleMs, () => list(sessions));
    const listOpenMs = store.listOpen ? await sample(sampleMs, () => listOpen(sessions)) : Number.NaN;
    const updateMs = await sample(sampleMs, (i) =>
      store.update(USER, idOf(i % sessions), sampleChange(idOf(i % sessions))),
    );
    return { createMs, getMs, listMs, listOpenMs, updateMs, updatesPerSecond: await updateAtOnce(sampleMs) };
  },

  /** Changes sessions of this process's own, all at once. @returns how many were acknowledged */
  async change({ first, count }: { first: number; count: number }): Promise<number> {
    const writes = Array.from({ length: count }, (_, i) =>
      store.update(USER, idOf(first + i), sampleChange(`changed-${first + i}`)),
    );
    return acknowledged(writes);
  },

  /** @returns how many of the first sessions hold what `change` wrote */
  async changed(count: number): Promise<number> {
    let found = 0;
    for (let i = 0; i < count; i += 1) {
      const session = await store.get(USER, idOf(i));
      if (session?.serverName === `changed-${i}` && session.tokens.access_token.startsWith(`access-changed-${i}-`))
        found += 1;
    }
    return found;
  },

  /** Several count in the same session. @returns how many additions were acknowledged */
  async increment({ loops, each }: { loops: number; each: number }): Promise<number> {
    const loop = async (): Promise<number> => {
      let done = 0;
      for (let i = 0; i < each; i += 1) done += await acknowledged([store.increment(USER, idOf(0))]);
      return done;
    };
    const counts = await Promise.all(Array.from({ length: loops }, loop));
    return counts.reduce((sum, count) => sum + count, 0);
  },

  async counted(): Promise<number> {
    return Number((await store.get(USER, idOf(0)))?.headers[COUNTER]);
  },

  close: () => store.close(),
});

function idOf(index: number): string {
  return `session-${String(index).padStart(6, '0')}`;
}

async function create(): Promise<void> {
  created += 1;
  await store.create(sampleSession('newcomer', `${process.pid}-${created}`));
}

async function get(index: number): Promise<void> {
  const session = await store.get(USER, idOf(index));
  if (!session?.tokens.access_token.startsWith('access-')) throw new Error('what was read is not what was written');
}

async function list(expected?: number): Promise<void> {
  const found = await store.list(USER);
  if (expected !== undefined && found !== expected) throw new Error(`${found} sessions were listed, not ${expected}`);
}

async function listOpen(expected: number): Promise<void> {
  const found = await store.listOpen?.(USER);
  if (found !== expected) throw new Error(`${found} sessions were listed, not ${expected}`);
}

/** @returns the median of the calls that fit into the time, of one at least */
async function sample(
  ms: number,
  call: (index: number) => Promise<void>,
  most = Number.POSITIVE_INFINITY,
): Promise<number> {
  const times: number[] = [];
  const end = performance.now() + ms;
  do {
    const at = performance.now();
    await call(times.length);
    times.push(performance.now() - at);
  } while (performance.now() < end && times.length < most);
  return percentile(times, 0.5);
}

/** @returns updates per second */
async function updateAtOnce(ms: number): Promise<number> {
  const begun = performance.now();
  let done = 0;
  const loop = async (_: unknown, index: number): Promise<void> => {
    do {
      await store.update(USER, idOf(index), sampleChange(idOf(index)));
      done += 1;
    } while (performance.now() - begun < ms);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  return (done * 1_000) / (performance.now() - begun);
}

async function acknowledged(writes: readonly Promise<void>[]): Promise<number> {
  const results = await Promise.allSettled(writes);
  return results.filter(({ status }) => status === 'fulfilled').length;
}
