import { Audience } from '../audience.ts';
import type { Backend, BackendName } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report } from '../benchmark.ts';
import { openStream, readAll } from '../client-stream.ts';
import { contender } from '../contenders/index.ts';
import { makeFrame } from '../frame.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

const STREAMS = 10_000;
const REQUIRED_RATIO = 1 / 40;

type Plan = {
  /** One message per session, so many at a time. */
  readonly base: string;
  readonly baseInFlight: number;
  /** The same, with more at a time than the target is measured by. */
  readonly pipelined?: { readonly title: string; readonly inFlight: number };
  readonly published: string;
  /** Whether the streams of the published manager last for one round only. */
  readonly publishedExpires: boolean;
  readonly notes: readonly string[];
};

const PLANS: Readonly<Record<BackendName, Plan>> = {
  postgres: {
    base: 'one channel and query per session, 64 in flight on 8 connections',
    baseInFlight: 64,
    published: 'frame quoted for it',
    publishedExpires: false,
    notes: [
      'The published 0.3.0 leaves out every session whose row was not touched for 10 seconds, and deletes it. It ' +
        'touches each row every 7 seconds with a query of its own: a busy process loses streams that are open.',
    ],
  },
  redis: {
    base: 'one channel and awaited PUBLISH per session',
    baseInFlight: 1,
    pipelined: { title: 'the same, 64 in flight', inFlight: 64 },
    published: 'within 10 s after its streams were opened',
    publishedExpires: true,
    notes: [
      'The published 0.3.0 looks for its sessions with SCAN, and publishes to each. Their keys live for 10 s and are ' +
        'touched every 10 s, so that sooner or later they are gone: its streams were opened anew for each round.',
    ],
  },
};

export const broadcast: BackendBenchmark = {
  title: 'one broadcast to 10,000 streams of a node',

  async run({ rounds, size }: Context, backend: Backend): Promise<Report> {
    const plan = PLANS[backend.name];
    const streams = size(STREAMS);
    await using audiences = new AsyncDisposableStack();
    const gather = async (name: string): Promise<Audience> =>
      audiences.use(await Audience.start(backend, name, streams));
    const [ours, channels] = [await gather('ours'), await gather('channel-per-session')];
    const lasting = plan.publishedExpires ? undefined : await gather('published');
    const { pipelined } = plan;
    const measured = await interleave<string>(rounds, {
      ours: () => ours.broadcast(),
      base: () => channels.sendToEach(plan.baseInFlight),
      ...(pipelined && { pipelined: () => channels.sendToEach(pipelined.inFlight) }),
      published: async () => {
        if (lasting) return await lasting.broadcast();
        await using published = await Audience.start(backend, 'published', streams);
        return await published.broadcast();
      },
      enqueue: async () => enqueueOnly(streams),
    });
    const ratio = measured.ratio('ms', 'ours', 'base');
    const row = (title: string, name: string): string[] => [
      title,
      figure(measured.median(name, 'ms'), 'ms'),
      name === 'enqueue' ? '' : figure(measured.ratio('ms', 'base', name)),
      figure(Math.max(...measured.values(name, 'lost'))),
    ];
    return {
      method:
        `One process sends, another holds ${figure(streams)} open streams that are being read. From the call until the ` +
        'last controller has its chunk, the loop over all controllers included.',
      tables: [
        {
          head: ['', 'until the last has it', 'times as fast as one message per session', 'most lost in a round'],
          rows: [
            row(plan.base, 'base'),
            ...(pipelined ? [row(pipelined.title, 'pipelined')] : []),
            row(`${contender(backend.name, 'published').title}, ${plan.published}`, 'published'),
            row(contender(backend.name, 'ours').title, 'ours'),
            row('of which the bare loop over the controllers', 'enqueue'),
          ],
        },
      ],
      targets: [
        {
          what: `ours, to ${plan.base}`,
          required: `≤ 1/${1 / REQUIRED_RATIO}`,
          measured: `1/${figure(1 / ratio)}`,
          reached: ratio <= REQUIRED_RATIO,
        },
      ],
      notes: plan.notes,
    };
  },
};

/** What is left of a broadcast when it need not travel. */
function enqueueOnly(streams: number): Figures {
  const controllers = Array.from({ length: streams }, () => {
    const { controller, stream } = openStream();
    void readAll(stream, () => undefined);
    return controller;
  });
  const chunk = new TextEncoder().encode(makeFrame(0));
  const at = performance.now();
  for (const controller of controllers) controller.enqueue(chunk);
  const ms = performance.now() - at;
  for (const controller of controllers) controller.close();
  return { ms, lost: 0 };
}
