import type { Backend } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { openStream } from '../client-stream.ts';
import { eventIdOf, makeFrame } from '../frame.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { openOurs } from '../our-managers.ts';
import type { TakenOver } from '../programs/successor.ts';
import { figure } from '../report/format.ts';

const WINDOW = 200_000;
/** So many of them are for the session that resumes. */
const MINE = 100;
const REQUIRED_MS = 300;

export const replay: BackendBenchmark = {
  title: 'one session resumes',

  async run({ rounds, size }: Context, backend: Backend): Promise<Report> {
    await using place = await backend.createPlace();
    const at = [backend.name, place.url] as const;
    const [window, mine] = [size(WINDOW), size(MINE)];
    const lastEventId = await leaveBehind(...at);
    await using sender = await Child.start('sender.ts', [backend.name, 'ours', place.url]);
    await sender.call('fill', { window, mine, session: SESSION });
    const measured = await interleave(rounds, {
      // A process of its own each time: one that has read the end of the log remembers it.
      resume: () => resume(at, lastEventId, mine),
    });
    const ms = measured.median('resume', 'liveMs');
    return {
      method:
        `The log holds ${figure(window)} messages since the event that the client names, ${figure(mine)} of them for its ` +
        'session. From `create` on another process until the last of them has been read.',
      tables: [
        {
          head: ['', 'until it is complete'],
          rows: [[`${figure(mine)} of ${figure(window)} messages`, figure(ms, 'ms')]],
        },
      ],
      targets: [
        {
          what: 'replay',
          required: `< ${figure(REQUIRED_MS, 'ms')}`,
          measured: figure(ms, 'ms'),
          reached: ms < REQUIRED_MS,
        },
      ],
    };
  },
};

const SESSION = 'resuming';

type At = readonly [backend: Backend['name'], url: string];

/** A client that got one event and went away. @returns the id of that event */
async function leaveBehind(...at: At): Promise<string> {
  await using manager = openOurs(...at);
  const { controller, stream } = openStream();
  await manager.create(SESSION, controller);
  await manager.publish([SESSION], makeFrame(0));
  const { value } = await stream.getReader().read();
  if (!value) throw new Error('the stream ended');
  return eventIdOf(value);
}

/** @throws when a frame is missing, comes twice or out of order */
async function resume(at: At, lastEventId: string, mine: number): Promise<Figures> {
  await using successor = await Child.start('successor.ts', at);
  const taken = await successor.call<TakenOver>('takeOver', { sessions: [SESSION], lastEventId, from: 1, to: mine });
  if (taken.others > 0) throw new Error(`${taken.others} frames that were not due`);
  return taken;
}
