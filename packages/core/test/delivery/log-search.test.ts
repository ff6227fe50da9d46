import { beforeEach, describe, expect, it } from 'vitest';
import type { Part } from '../../src/delivery/backplane.ts';
import { LogSearch } from '../../src/delivery/log-search.ts';
import { payloadsFor } from '../../src/delivery/payload-index.ts';
import { InProcessBackplane, InProcessHub } from '../../src/in-memory/in-process-backplane.ts';

const PARTS = 40;
const SESSIONS = 500;

/** Counts what is asked, and can be told to fail. */
class CountedBackplane extends InProcessBackplane {
  searches = 0;
  reads = 0;
  failingReads = 0;

  override search(session: string, after: number, upTo: number): ReturnType<InProcessBackplane['search']> {
    this.searches += 1;
    return super.search(session, after, upTo);
  }

  override async read(after: number): ReturnType<InProcessBackplane['read']> {
    this.reads += 1;
    if (this.failingReads-- > 0) throw new Error('no answer');
    const page = await super.read(after);
    return { ...page, parts: page.parts.slice(0, 10) };
  }
}

let backplane: CountedBackplane;
let search: LogSearch;
let parts: Part[];

beforeEach(() => {
  const hub = new InProcessHub();
  backplane = new CountedBackplane({ hub });
  search = new LogSearch(backplane);
  const { log } = hub.namespace('default');
  for (let index = 0; index < PARTS; index += 1) {
    const items = Array.from({ length: 50 }, (_, item) => [`s${(index * 50 + item) % SESSIONS}`, 1]);
    log.append({
      epoch: log.epoch,
      node: 'n',
      producer: 'p',
      number: index + 1,
      acknowledged: index,
      parts: [{ count: 50, head: JSON.stringify(items), data: 'x'.repeat(50), bytes: 100 }],
      controls: [],
    });
  }
  parts = log.parts;
});

/** Positions of a session's payloads, asked for as a stream does that replays. */
async function replay(session: string, from: number, upTo: number): Promise<number[]> {
  const found: number[] = [];
  for (let position = from; position < upTo; ) {
    const { parts: page, reached } = await search.find(session, position, upTo);
    for (const part of page) {
      for (const { position: at } of payloadsFor(part, session)) if (at > position && at <= upTo) found.push(at);
    }
    expect(reached).toBeGreaterThan(position);
    position = reached;
  }
  return found;
}

function expected(session: number, from: number, upTo: number): number[] {
  const positions = Array.from({ length: PARTS * 50 }, (_, index) => index + 1);
  return positions.filter((at) => (at - 1) % SESSIONS === session && at > from && at <= upTo);
}

const UP_TO = PARTS * 50;

describe('searching the log', () => {
  it('search/few: a few are searched for one by one', async () => {
    const found = await Promise.all([0, 7, 499].map((session) => replay(`s${session}`, 100, UP_TO)));
    expect(found).toEqual([0, 7, 499].map((session) => expected(session, 100, UP_TO)));
    expect([backplane.searches, backplane.reads]).toEqual([3, 0]);
  });

  it('search/crowd: a crowd shares one pass over the log, wherever each begins and ends', async () => {
    const begins = (session: number): number => (session % 20) * 50;
    const ends = (session: number): number => UP_TO - (session % 3) * 50;
    const all = Array.from({ length: SESSIONS }, (_, session) => session);
    const found = await Promise.all(all.map((session) => replay(`s${session}`, begins(session), ends(session))));
    expect(found).toEqual(all.map((session) => expected(session, begins(session), ends(session))));
    // 40 parts in pages of 10, from a few beginnings; the first four were searched for before it was a crowd.
    expect(backplane.reads).toBeLessThanOrEqual(20);
    expect(backplane.searches).toBeLessThanOrEqual(16);
  });

  it('search/failed: a page that cannot be read is told to those who wait, and the next ones are served', async () => {
    backplane.failingReads = 1;
    const all = Array.from({ length: 100 }, (_, session) => search.find(`s${session}`, 0, UP_TO));
    const settled = await Promise.allSettled(all);
    expect(settled.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(50);
    const again = await Promise.all(Array.from({ length: 100 }, (_, session) => replay(`s${session}`, 0, UP_TO)));
    expect(again).toEqual(Array.from({ length: 100 }, (_, session) => expected(session, 0, UP_TO)));
  });

  it('search/unreadable: a part that cannot be read is passed by', async () => {
    parts[9] = { ...(parts[9] as (typeof parts)[number]), head: '[' };
    const found = await Promise.all(Array.from({ length: 100 }, (_, session) => replay(`s${session}`, 0, UP_TO)));
    const isLost = (at: number): boolean => at > 450 && at <= 500;
    expect(found).toEqual(
      Array.from({ length: 100 }, (_, session) => expected(session, 0, UP_TO).filter((at) => !isLost(at))),
    );
  });
});
