import type { Backend, BackendName } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report } from '../benchmark.ts';
import { Cluster, type Load } from '../cluster.ts';
import { interleave, type Rounds } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

type Name = 'ours' | 'base';

const BASE: Readonly<Record<BackendName, string>> = { postgres: 'plain NOTIFY', redis: 'bare PUBLISH' };

const NODES = [1, 2, 4, 8];
const RATES = [1_000, 10_000];
const SESSIONS = 64;
/** CPU of a node that holds no recipient, to that of the holder. */
const REQUIRED_SHARE = 2 / 3;

export const nodeCost: BackendBenchmark = {
  title: 'what each node pays for the messages of others',

  async run(context: Context, backend: Backend): Promise<Report> {
    const base = BASE[backend.name];
    const cpuHead = ['ours: holder', 'holds none', 'share', `${base}: holder`, 'holds none'];
    const full: string[][] = [];
    const paced: string[][] = [];
    const shares: number[] = [];
    for (const nodes of NODES) {
      const [rounds] = await measure(context, backend, nodes, [{ kind: 'flood', durationMs: context.roundMs }]);
      if (!rounds) continue;
      if (nodes > 1) shares.push(shareOf(rounds));
      full.push([
        String(nodes),
        figure(rounds.median('ours', 'perSecond')),
        figure(rounds.median('base', 'perSecond')),
        figure(rounds.ratio('perSecond', 'ours', 'base')),
        `${figure(rounds.median('ours', 'ackP50Ms'))} / ${figure(rounds.median('ours', 'ackP99Ms'))} ms`,
        `${figure(rounds.median('base', 'ackP50Ms'))} / ${figure(rounds.median('base', 'ackP99Ms'))} ms`,
        ...cpu(rounds),
      ]);
    }
    const loads = RATES.map((rate): Load => ({ kind: 'pace', durationMs: context.roundMs, rate }));
    for (const [index, rounds] of (await measure(context, backend, 2, loads)).entries()) {
      paced.push([
        figure(RATES[index] ?? 0),
        `${figure(rounds.median('ours', 'ackP50Ms'))} / ${figure(rounds.median('ours', 'ackP99Ms'))} ms`,
        `${figure(rounds.median('base', 'ackP50Ms'))} / ${figure(rounds.median('base', 'ackP99Ms'))} ms`,
        ...cpu(rounds),
      ]);
    }
    const highest = Math.max(...shares);
    return {
      method:
        `${SESSIONS} senders in one process; of the reading processes the first holds all receivers, the others none. ` +
        'CPU is user and system time of a reading process per message, its runtime and driver included.',
      tables: [
        {
          head: [
            'reading nodes, full load',
            'ours, messages/s',
            base,
            'ratio',
            'ack p50 / p99, ours',
            base,
            ...cpuHead,
          ],
          rows: full,
        },
        {
          head: ['messages/s, 2 reading nodes', 'ack p50 / p99, ours', base, ...cpuHead],
          rows: paced,
        },
      ],
      targets: [
        {
          what: 'CPU of a node that holds no receiver, to that of the holder, at full load with 2, 4 and 8 nodes',
          required: `≤ ${figure(REQUIRED_SHARE)}`,
          measured: shares.map((share) => figure(share)).join(', '),
          reached: highest <= REQUIRED_SHARE,
        },
      ],
      notes: ['Below full load it is the wake-up that costs, not the message: each is paid alone.'],
    };
  },
};

function cpu(rounds: Rounds<Name>): string[] {
  return [
    figure(rounds.median('ours', 'holderMicros'), 'µs'),
    figure(rounds.median('ours', 'bystanderMicros'), 'µs'),
    figure(shareOf(rounds)),
    figure(rounds.median('base', 'holderMicros'), 'µs'),
    figure(rounds.median('base', 'bystanderMicros'), 'µs'),
  ];
}

function shareOf(rounds: Rounds<Name>): number {
  return rounds.median('ours', 'bystanderMicros') / rounds.median('ours', 'holderMicros');
}

/** @returns the rounds of each load */
async function measure(
  { rounds }: Context,
  backend: Backend,
  receivers: number,
  loads: readonly Load[],
): Promise<Rounds<Name>[]> {
  await using ours = await Cluster.start(backend, 'ours', { receivers, sessions: SESSIONS });
  await using base = await Cluster.start(backend, 'base', { receivers, sessions: SESSIONS });
  const results: Rounds<Name>[] = [];
  for (const load of loads) {
    results.push(await interleave(rounds, { ours: () => ours.round(load), base: () => base.round(load) }));
  }
  return results;
}
