import type { Backend } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { contender } from '../contenders/index.ts';
import { RequestCounter } from '../counting/request-counter.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

const POSTS = 1_000;

export const infoReads: BackendBenchmark = {
  title: 'the three info reads of a POST',

  async run({ rounds, size }: Context, backend: Backend): Promise<Report> {
    await using oursPlace = await backend.createPlace();
    await using publishedPlace = await backend.createPlace();
    await using ours = await Child.start('info-reader.ts', [backend.name, 'ours', oursPlace.url]);
    await using published = await Child.start('info-reader.ts', [backend.name, 'published', publishedPlace.url]);
    const measured = await interleave(rounds, {
      ours: () => ours.call<Figures>('time', size(POSTS)),
      published: () => published.call<Figures>('time', size(POSTS)),
    });
    const trips = {
      ours: await countRoundTrips(backend, 'ours'),
      published: await countRoundTrips(backend, 'published'),
    };
    const row = (title: string, name: 'ours' | 'published'): string[] => [
      title,
      figure(trips[name]),
      figure(measured.median(name, 'p50Ms'), 'ms'),
      figure(measured.median(name, 'perSecond')),
    ];
    return {
      method:
        'Capabilities, client info and log level of a session, awaited one after the other, as the transports do for ' +
        'every POST. Round trips are counted in a proxy before the server.',
      tables: [
        {
          head: ['', 'round trips', 'p50 of one POST alone', 'POSTs/s, 64 sessions at a time'],
          rows: [row('ours', 'ours'), row(contender(backend.name, 'published').title, 'published')],
        },
      ],
      targets: [
        { what: 'round trips of one POST', required: '1', measured: figure(trips.ours), reached: trips.ours === 1 },
      ],
    };
  },
};

async function countRoundTrips(backend: Backend, name: 'ours' | 'published'): Promise<number> {
  await using place = await backend.createPlace();
  await using counter = await RequestCounter.start(backend.name, place.url);
  await using reader = await Child.start('info-reader.ts', [backend.name, name, counter.url]);
  // Once before, for what is prepared once: statements on PostgreSQL, a script that Redis does not know yet.
  await reader.call('readOnce');
  await counter.quiet(500);
  counter.reset();
  await reader.call('readOnce');
  await counter.quiet(500);
  return counter.roundTrips;
}
