import { queryOnce, redisOnce } from 'test-support';
import type { Backend, BackendName } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import type { TakenOver } from '../programs/successor.ts';
import { figure } from '../report/format.ts';

const SESSIONS = 10_000;
const REQUIRED_MS = 1_000;

export const createsAfterCrash: BackendBenchmark = {
  title: '10,000 streams come back after their process was killed',

  async run({ rounds, size }: Context, backend: Backend): Promise<Report> {
    const sessions = Array.from({ length: size(SESSIONS) }, (_, index) => `session-${index}`);
    const measured = await interleave(rounds, {
      named: () => crash(backend, sessions, true),
      unnamed: () => crash(backend, sessions, false),
    });
    const row = (title: string, name: 'named' | 'unnamed'): string[] => [
      title,
      figure(measured.median(name, 'createdMs'), 'ms'),
      figure(measured.median(name, 'batches')),
      figure(measured.median(name, 'liveMs'), 'ms'),
    ];
    const slowest = Math.max(measured.median('named', 'createdMs'), measured.median('unnamed', 'createdMs'));
    return {
      method:
        `A process that holds ${figure(sessions.length)} streams is killed with SIGKILL, a message is sent to all of ` +
        'them, and at once all are created on another process. Created: from the first `create` until the last has ' +
        'resolved, which is when its claim is in the log. Live: until the last stream has got the message.',
      tables: [
        {
          head: ['', 'created', 'appends', 'live'],
          rows: [
            row('all clients name their last event', 'named'),
            row('none does: they wait until the dead process is known to be dead (two looks, 300 ms apart)', 'unnamed'),
          ],
        },
      ],
      targets: [
        {
          what: `${figure(sessions.length)} creates`,
          required: `< ${figure(REQUIRED_MS, 'ms')}`,
          measured: figure(slowest, 'ms'),
          reached: slowest < REQUIRED_MS,
        },
      ],
      notes: [NOTES[backend.name]],
    };
  },
};

const NOTES: Readonly<Record<BackendName, string>> = {
  postgres:
    'The published 0.3.0 cannot do it: its `create` inserts the id again, which the row of the dead process forbids ' +
    'until some broadcast, ten seconds later, has removed it.',
  redis:
    'The published 0.3.0 cannot do it: it keeps nothing, so the message that was sent while there was no stream reaches ' +
    'nobody.',
};

/** @throws when a stream did not get the message, or a client that named its last event got anything else */
async function crash(backend: Backend, sessions: readonly string[], named: boolean): Promise<Figures> {
  await using place = await backend.createPlace();
  const ours = [backend.name, 'ours', place.url];
  const owner = await Child.start('receiver.ts', ours);
  await owner.call('hold', sessions);
  await using sender = await Child.start('sender.ts', ours);
  await using successor = await Child.start('successor.ts', [backend.name, place.url]);
  await owner.call('begin');
  await sender.call('broadcast', 0);
  await owner.call('finish', { mine: sessions.length, all: 0 });
  const lastEventId = await owner.call<string>('lastEventId');
  const appends = await COUNT_APPENDS[backend.name](place.url);

  await owner.crash();
  await sender.call('broadcast', 1);
  const taken = await successor.call<TakenOver>('takeOver', {
    sessions,
    ...(named && { lastEventId }),
    from: 1,
    to: 1,
  });
  if (taken.complete !== sessions.length || (named && taken.others > 0)) {
    throw new Error(`${taken.complete} messages and ${taken.others} others to ${sessions.length} streams`);
  }
  return { ...taken, batches: (await COUNT_APPENDS[backend.name](place.url)) - appends - 1 };
}

/** Batches that were appended to the log so far: parts name the batch that they came with. */
const COUNT_APPENDS: Readonly<Record<BackendName, (url: string) => Promise<number>>> = {
  postgres: async (url) => {
    const [row] = await queryOnce(
      url,
      `select count(distinct split_part(tok, ':', 1) || split_part(tok, ':', 2)) from tmcp_sessions_log`,
    );
    return Number(row?.count);
  },
  redis: async (url) => {
    const [log = ''] = (await redisOnce(url, ['KEYS', '*:log'])) as string[];
    const entries = (await redisOnce(url, ['XRANGE', log, '-', '+'])) as [string, string[]][];
    return new Set(entries.map(([, fields]) => fields[3]?.split(':').slice(0, 2).join(':'))).size;
  },
};
