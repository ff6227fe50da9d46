import type { Benchmark, Context, Report, Table } from '../benchmark.ts';
import { Child } from '../child.ts';
import { RequestCounter } from '../counting/request-counter.ts';
import { figure } from '../report/format.ts';
import { type StoreName, storesOf, storeTitles } from '../session-stores/index.ts';
import { kindTitles, openStorePlace, type StoreKind } from '../session-stores/place.ts';

const KINDS = ['redis', 'postgres', 'neon'] as const;
const OPERATIONS = ['create', 'get', 'update', 'list'] as const;
/** A pipeline that is longer than one read of the proxy could not be counted. */
const SESSIONS: Readonly<Record<(typeof KINDS)[number], number>> = { redis: 100, postgres: 1_000, neon: 1_000 };
const QUIET_MS = 50;

export const storeRoundTrips: Benchmark = {
  title: 'Session store: round trips',
  group: 'session-store',
  needs: ['postgres', 'redis'],

  async run(context: Context): Promise<Report> {
    const rows: string[][] = [];
    const targets: Report['targets'][number][] = [];
    for (const kind of KINDS) {
      for (const name of storesOf(kind)) {
        const counts = await count(context, kind, name);
        rows.push([`${kindTitles[kind]}: ${storeTitles[name]}`, ...counts.map(describe)]);
        if (name === 'published') continue;
        const most = Math.max(...counts.slice(0, -1).map(({ roundTrips }) => roundTrips));
        targets.push({
          what: `${kindTitles[kind]}, ${storeTitles[name]}: round trips of create, get and update`,
          required: '1',
          measured: figure(most),
          reached: most === 1,
        });
      }
    }
    const table: Table = { head: ['', 'create', 'get', 'update', 'list'], rows };
    return {
      method:
        'Round trips of one call, counted in a proxy before the server, once the store has connected and loaded its ' +
        'scripts; for Neon the requests that its endpoint has logged. A list is one of 1,000 sessions with their ' +
        'credentials, with Redis of 100: a pipeline is one round trip however long it is, but a longer one would not ' +
        'pass the proxy in one piece.',
      tables: [table],
      targets,
      notes: [
        'The published store on Redis sends the reads of a list one by one without waiting for answers; counted are the ' +
          'pieces in which they arrive, which is chance. On a network they take the time of about two round trips.',
        'The published store on Redis writes session and index in two commands: a process that dies between them leaves ' +
          'a session that no list shows.',
      ],
    };
  },
};

type Counted = { readonly roundTrips: number; readonly statements: number };

async function count(context: Context, kind: (typeof KINDS)[number], name: StoreName): Promise<Counted[]> {
  await using place = await openStorePlace(context, kind);
  await using counter = kind === 'neon' ? undefined : await RequestCounter.start(backendOf(kind), place.url);
  await using child = await Child.start('session-store.ts', [kind, name, counter?.url ?? place.url]);
  await child.call('fill', context.size(SESSIONS[kind]));
  // The first call of each may bring a script to the server.
  for (const operation of OPERATIONS) await child.call(operation);
  const counts: Counted[] = [];
  for (const operation of OPERATIONS) {
    await counter?.quiet(QUIET_MS);
    counter?.reset();
    const before = place.requests?.() ?? 0;
    await child.call(operation);
    await counter?.quiet(QUIET_MS);
    const requests = (place.requests?.() ?? 0) - before;
    counts.push({ roundTrips: counter?.roundTrips ?? requests, statements: counter?.statements ?? requests });
  }
  return counts;
}

function backendOf(kind: StoreKind): 'postgres' | 'redis' {
  return kind === 'redis' ? 'redis' : 'postgres';
}

function describe({ roundTrips, statements }: Counted): string {
  return statements === roundTrips ? figure(roundTrips) : `${figure(roundTrips)} (${figure(statements)} commands)`;
}
