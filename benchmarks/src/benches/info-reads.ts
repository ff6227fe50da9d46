import type { Benchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';
import { RequestCounter } from '../request-counter.ts';

const POSTS = 1_000;

export const infoReads: Benchmark = {
  title: 'PostgreSQL: the three info reads of a POST',

  async run({ server, rounds, size }: Context): Promise<Report> {
    await using ours = await Child.start('info-reader.ts', ['ours', await server.createDatabase()]);
    await using published = await Child.start('info-reader.ts', ['published', await server.createDatabase()]);
    const measured = await interleave(rounds, {
      ours: () => ours.call<Figures>('time', size(POSTS)),
      published: () => published.call<Figures>('time', size(POSTS)),
    });
    const trips = {
      ours: await countRoundTrips(server, 'ours'),
      published: await countRoundTrips(server, 'published'),
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
          rows: [row('ours', 'ours'), row('@tmcp/session-manager-postgres 0.3.0', 'published')],
        },
      ],
      targets: [
        { what: 'round trips of one POST', required: '1', measured: figure(trips.ours), reached: trips.ours === 1 },
      ],
    };
  },
};

async function countRoundTrips(server: Context['server'], name: 'ours' | 'published'): Promise<number> {
  await using counter = await RequestCounter.start(server);
  await using reader = await Child.start('info-reader.ts', [name, counter.url(await server.createDatabase())]);
  await counter.quiet(500);
  counter.reset();
  await reader.call('readOnce');
  await counter.quiet(500);
  return counter.roundTrips;
}
