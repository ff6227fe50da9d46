import { type PostgresServer, spawnNode } from 'test-support';
import type { Benchmark, Context, Report, Target } from '../benchmark.ts';
import { Cluster } from '../cluster.ts';
import { type ContenderName, contenders } from '../contenders/index.ts';
import { interleave, type Rounds } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

const NAMES = ['notify', 'ours', 'ours-async', 'socket-io', 'published'] as const satisfies ContenderName[];
type Name = (typeof NAMES)[number];

const SENDERS = 64;
/** Where nothing is acknowledged, senders would only fill the memory: so many messages each, and no more. */
const UNACKNOWLEDGED_LIMIT = 150;
/** Where a commit takes longer than this, the target counts without waiting for the disk. */
const FAST_COMMIT_MS = 0.3;
const REQUIRED_RATIO = 4;

export const throughput: Benchmark = {
  title: 'PostgreSQL: throughput and time to acknowledge',

  async run(context: Context): Promise<Report> {
    const plainFrame = await sendPlainFrame(context.server);
    const rounds = await measure(context);
    return {
      method:
        `${SENDERS} senders in one process, each sending its next message when the last is acknowledged; two other ` +
        'processes read, the first holds all receiving streams. Messages per second until the last was read.',
      tables: [
        {
          head: ['', 'messages/s', 'ratio', 'ack p50', 'ack p99', 'CPU per message: holder', 'holds none'],
          rows: NAMES.map((name) => row(name, rounds)),
        },
      ],
      targets: targets(context.commitMs, rounds),
      notes: [
        'Ours stores each message before it acknowledges it, and replays it after faults; the others keep nothing.',
        `The published 0.3.0 puts the frame unquoted into \`NOTIFY\`. With a real frame ${plainFrame}. It was measured ` +
          'with frames that the benchmark had quoted for it; it acknowledges nothing, its figure is what its single ' +
          `connection works off of ${SENDERS * UNACKNOWLEDGED_LIMIT} queued messages.`,
        'CPU is user and system time of the reading process, its HTTP side (reading the streams) included.',
      ],
    };
  },
};

async function measure({ server, rounds, roundMs }: Context): Promise<Rounds<Name>> {
  const clusters = new Map<Name, Cluster>();
  try {
    for (const name of NAMES) {
      clusters.set(name, await Cluster.start(server, name, { receivers: 2, sessions: SENDERS }));
    }
    const round = (name: Name) => () => {
      const cluster = clusters.get(name);
      if (!cluster) throw new Error(`${name} was not started`);
      const limit = name === 'published' ? UNACKNOWLEDGED_LIMIT : Number.MAX_SAFE_INTEGER;
      return cluster.round({ kind: 'flood', durationMs: roundMs, limit });
    };
    return await interleave(rounds, Object.fromEntries(NAMES.map((name) => [name, round(name)])) as Runs);
  } finally {
    for (const cluster of clusters.values()) await cluster[Symbol.asyncDispose]();
  }
}

type Runs = Record<Name, () => ReturnType<Cluster['round']>>;

function row(name: Name, rounds: Rounds<Name>): string[] {
  const acknowledges = name !== 'published';
  return [
    contenders[name].title,
    figure(rounds.median(name, 'perSecond')),
    figure(rounds.ratio('perSecond', name, 'notify')),
    acknowledges ? figure(rounds.median(name, 'ackP50Ms'), 'ms') : 'none',
    acknowledges ? figure(rounds.median(name, 'ackP99Ms'), 'ms') : 'none',
    figure(rounds.median(name, 'holderMicros'), 'µs'),
    figure(rounds.median(name, 'bystanderMicros'), 'µs'),
  ];
}

function targets(commitMs: number, rounds: Rounds<Name>): Target[] {
  const durable = commitMs <= FAST_COMMIT_MS;
  const baseP99 = rounds.median('notify', 'ackP99Ms');
  const counted: Name[] = durable ? ['ours', 'ours-async'] : ['ours-async'];
  return [
    ...counted.map((name) => {
      const ratio = rounds.ratio('perSecond', name, 'notify');
      return {
        what: `throughput of ${contenders[name].title} to plain NOTIFY`,
        required: `≥ ${REQUIRED_RATIO}`,
        measured: figure(ratio),
        reached: ratio >= REQUIRED_RATIO,
      };
    }),
    ...(['ours', 'ours-async'] as const).map((name) => {
      const p99 = rounds.median(name, 'ackP99Ms');
      return {
        what: `ack p99 of ${contenders[name].title}`,
        required: `< ${figure(baseP99, 'ms')} (plain NOTIFY)`,
        measured: figure(p99, 'ms'),
        reached: p99 < baseP99,
      };
    }),
  ];
}

/** What the published manager does with a frame as the transports hand it over. */
async function sendPlainFrame(server: PostgresServer): Promise<string> {
  const url = await server.createDatabase();
  const child = await spawnNode(new URL('../programs/published-plain-frame.ts', import.meta.url), [url]);
  const { code } = await child.exited;
  const error = /^error: .*$/m.exec(child.output)?.[0];
  if (code === 0 || error === undefined) throw new Error(`it was expected to fail:\n${child.output}`);
  return `the sending process ends with code ${code} (\`${error}\`, as an unhandled rejection)`;
}
