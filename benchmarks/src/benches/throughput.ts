import type { Backend, BackendName } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report, Target } from '../benchmark.ts';
import { Cluster } from '../cluster.ts';
import { contender } from '../contenders/index.ts';
import { type Figures, interleave, type Rounds } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';
import { whatPublishedDoes } from './what-published-does.ts';

const SENDERS = 64;
/** Where nothing is acknowledged, senders would only fill the memory: so many messages each, and no more. */
const UNACKNOWLEDGED_LIMIT = 150;
/** Where a commit takes longer than this, the target counts without waiting for the disk. */
const FAST_COMMIT_MS = 0.3;

type Plan = {
  /** The first is what others are measured by. */
  readonly names: readonly string[];
  readonly base: string;
  readonly requiredRatio: number;
  /** Those that have to reach the ratio, on a server like this. */
  counted(backend: Backend): readonly string[];
  /** Those that have to acknowledge sooner than the base, at the 99th percentile. */
  readonly soonerThanBase: readonly string[];
  readonly notes: readonly string[];
};

const PLANS: Readonly<Record<BackendName, Plan>> = {
  postgres: {
    names: ['base', 'ours', 'ours-async', 'socket-io', 'published'],
    base: 'plain NOTIFY',
    requiredRatio: 4,
    counted: ({ commitMs = 0 }) => (commitMs <= FAST_COMMIT_MS ? ['ours', 'ours-async'] : ['ours-async']),
    soonerThanBase: ['ours', 'ours-async'],
    notes: [
      'Ours stores each message before it acknowledges it, and replays it after faults; the others keep nothing.',
    ],
  },
  redis: {
    names: ['base', 'base-pipelined', 'ours', 'ours-persistent', 'socket-io', 'socket-io-streams', 'published'],
    base: 'bare PUBLISH',
    requiredRatio: 3,
    counted: () => ['ours'],
    soonerThanBase: [],
    notes: [
      'Ours stores each message before it acknowledges it, and replays it after faults. The adapter on streams keeps ' +
        'the last 10,000 messages; the others keep nothing.',
    ],
  },
};

export const throughput: BackendBenchmark = {
  title: 'throughput and time to acknowledge',

  async run(context: Context, backend: Backend): Promise<Report> {
    const plan = PLANS[backend.name];
    const published = await whatPublishedDoes(backend);
    const rounds = await measure(context, backend, plan);
    return {
      method:
        `${SENDERS} senders in one process, each sending its next message when the last is acknowledged; two other ` +
        'processes read, the first holds all receiving streams. Messages per second until the last was read.',
      tables: [
        {
          head: ['', 'messages/s', 'ratio', 'ack p50', 'ack p99', 'CPU per message: holder', 'holds none'],
          rows: plan.names.map((name) => row(backend, name, rounds)),
        },
      ],
      targets: targets(backend, plan, rounds),
      notes: [
        ...plan.notes,
        ...plan.names.flatMap((name) => lossOf(backend, name, rounds)),
        `${published} It acknowledges nothing: its figure is what its single connection works off of ` +
          `${SENDERS * UNACKNOWLEDGED_LIMIT} queued messages.`,
        'CPU is user and system time of the reading process, its HTTP side (reading the streams) included.',
      ],
    };
  },
};

async function measure({ rounds, roundMs }: Context, backend: Backend, { names }: Plan): Promise<Rounds<string>> {
  await using clusters = new AsyncDisposableStack();
  const runs: Record<string, () => Promise<Figures>> = {};
  for (const name of names) {
    const cluster = clusters.use(await Cluster.start(backend, name, { receivers: 2, sessions: SENDERS }));
    const limit = name === 'published' ? UNACKNOWLEDGED_LIMIT : Number.MAX_SAFE_INTEGER;
    runs[name] = () => cluster.round({ kind: 'flood', durationMs: roundMs, limit });
  }
  return await interleave(rounds, runs);
}

function row(backend: Backend, name: string, rounds: Rounds<string>): string[] {
  const acknowledges = name !== 'published';
  return [
    contender(backend.name, name).title,
    figure(rounds.median(name, 'perSecond')),
    figure(rounds.ratio('perSecond', name, 'base')),
    acknowledges ? figure(rounds.median(name, 'ackP50Ms'), 'ms') : 'none',
    acknowledges ? figure(rounds.median(name, 'ackP99Ms'), 'ms') : 'none',
    figure(rounds.median(name, 'holderMicros'), 'µs'),
    figure(rounds.median(name, 'bystanderMicros'), 'µs'),
  ];
}

/** That of ours, and of the base, would have failed the run. */
function lossOf(backend: Backend, name: string, rounds: Rounds<string>): string[] {
  const most = Math.max(...rounds.values(name, 'lost'));
  return most > 0 ? [`${contender(backend.name, name).title} lost up to ${figure(most)} messages in a round.`] : [];
}

function targets(backend: Backend, plan: Plan, rounds: Rounds<string>): Target[] {
  const baseP99 = rounds.median('base', 'ackP99Ms');
  return [
    ...plan.counted(backend).map((name) => {
      const ratio = rounds.ratio('perSecond', name, 'base');
      return {
        what: `throughput of ${contender(backend.name, name).title} to ${plan.base}`,
        required: `≥ ${plan.requiredRatio}`,
        measured: figure(ratio),
        reached: ratio >= plan.requiredRatio,
      };
    }),
    ...plan.soonerThanBase.map((name) => {
      const p99 = rounds.median(name, 'ackP99Ms');
      return {
        what: `ack p99 of ${contender(backend.name, name).title}`,
        required: `< ${figure(baseP99, 'ms')} (${plan.base})`,
        measured: figure(p99, 'ms'),
        reached: p99 < baseP99,
      };
    }),
  ];
}
