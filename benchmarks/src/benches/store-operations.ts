import type { Benchmark, Context, Report, Table } from '../benchmark.ts';
import { Child } from '../child.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';
import { showsTokens } from '../session-stores/at-rest.ts';
import { type StoreName, storesOf, storeTitles } from '../session-stores/index.ts';
import { kindTitles, openStorePlace, type StoreKind, storeKinds } from '../session-stores/place.ts';

const SESSIONS = 1_000;
/** As many as are updated at a time. */
const FEWEST_SESSIONS = 64;
/** Of each operation in each round. */
const SAMPLE_MS = 50;
/** At most: there are thirteen stores to measure. Of a file, 64 writes at once take seconds. */
const MOST_ROUNDS: Readonly<Record<StoreKind, number>> = { memory: 3, file: 2, redis: 3, postgres: 3, neon: 3 };

export const storeOperations: Benchmark = {
  title: 'Session store: what operations cost',
  group: 'session-store',
  needs: ['postgres', 'redis'],

  async run(context: Context): Promise<Report> {
    const tables: Table[] = [];
    const inPlain: string[] = [];
    for (const kind of storeKinds) tables.push(await measure(context, kind, inPlain));
    return {
      method:
        `Client sessions of 1.5 kB, ${figure(sessionsIn(context))} of one user in each store. One operation after the ` +
        `other, median; then 64 updates at a time, each of another session. Everything is read with its credentials ` +
        `where not said otherwise. A process for each store; they take turns, three rounds (with files two) after a warm-up.`,
      tables,
      targets: [],
      notes: [
        'The published package has no store for PostgreSQL as such: its other two are SQLite, and Supabase over its REST interface.',
        'The published file store keeps all sessions in memory, reads the file once, and writes it in place, without ' +
          'a lock and without a flush to disk. Ours looks at the file with each read, and replaces and flushes it with each write.',
        '64 writes of the published file store at a time are 64 writes of one file at a time, after which it may be ' +
          'unreadable: `store-lost-writes` counts that.',
        `Tokens were found in plain text in these: ${inPlain.join('; ')}. STORAGE_ENCRYPTION_KEY was set for the ` +
          'published stores as well: they heed it with Supabase alone.',
        'The published memory store hands out its own objects, which callers can change.',
        "Neon's endpoint is a proxy in the process of the benchmark, in front of the same server: its HTTP is part of " +
          'the figures, a network is not.',
      ],
    };
  },
};

async function measure(context: Context, kind: StoreKind, inPlain: string[]): Promise<Table> {
  await using stack = new AsyncDisposableStack();
  const sessions = sessionsIn(context);
  const names = storesOf(kind);
  const variants: Partial<Record<StoreName, () => Promise<Figures>>> = {};
  for (const name of names) {
    const place = stack.use(await openStorePlace(context, kind));
    const child = stack.use(await Child.start('session-store.ts', [kind, name, place.url]));
    await child.call('fill', sessions);
    const shown = await showsTokens(kind, place.url);
    if (shown) inPlain.push(`${kindTitles[kind]}: ${storeTitles[name]}`);
    if (shown && name === 'ours-encrypted') throw new Error(`${kind}: tokens in plain text in spite of a key`);
    variants[name] = () => child.call<Figures>('time', { sampleMs: context.size(SAMPLE_MS), sessions });
  }
  const rounds = Math.min(context.rounds, MOST_ROUNDS[kind]);
  const measured = await interleave<StoreName>(rounds, variants as Record<StoreName, () => Promise<Figures>>);
  const rows = names.map((name) => [
    storeTitles[name],
    ...['createMs', 'getMs', 'updateMs', 'listMs', 'listOpenMs'].map((what) => duration(measured.median(name, what))),
    figure(measured.median(name, 'updatesPerSecond')),
  ]);
  const list = `list of ${figure(sessions)}`;
  return {
    head: [kindTitles[kind], 'create', 'get', 'update', list, `${list} without credentials`, 'updates/s, 64 at a time'],
    rows,
  };
}

function duration(ms: number): string {
  return ms < 1 ? figure(ms * 1_000, 'µs') : figure(ms, Number.isNaN(ms) ? '' : 'ms');
}

function sessionsIn({ size }: Context): number {
  return Math.max(FEWEST_SESSIONS, size(SESSIONS));
}
