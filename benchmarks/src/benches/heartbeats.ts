import type { Backend, BackendName } from '../backends/backend.ts';
import type { BackendBenchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { openStream } from '../client-stream.ts';
import { contender } from '../contenders/index.ts';
import { RequestCounter } from '../counting/request-counter.ts';
import { openOurs } from '../our-managers.ts';
import { figure } from '../report/format.ts';

const SESSIONS = 10_000;
/** With 10,000 its statements keep its connection so busy on a loaded machine that it never gets to the end. */
const PUBLISHED_SESSIONS = 1_000;
/** Beats that are counted. More often than by default, to count more of them; what is counted is per beat. */
const BEATS = 10;
const HEARTBEAT_MS = 500;
const QUIET_MS = 200;

/** How often the published manager touches what it keeps of its sessions. */
const PUBLISHED_INTERVAL_MS: Readonly<Record<BackendName, number>> = { postgres: 7_000, redis: 10_000 };

const NOTES: Readonly<Record<BackendName, readonly string[]>> = {
  postgres: ['A heartbeat is one statement; the others trim the log and look for dead processes.'],
  redis: [
    'A heartbeat is one script; the other trims the log and looks for dead processes. Beside them a node has one ' +
      'command waiting for what is new, sent again every 2 s while there is nothing: it is not counted.',
    'The published 0.3.0 keeps a key for each session that lives for 10 s, and touches it every 10 s: sooner or later ' +
      'that comes too late, and no broadcast reaches the stream any more.',
  ],
};

export const heartbeats: BackendBenchmark = {
  title: 'what idle sessions cost',

  async run({ size }: Context, backend: Backend): Promise<Report> {
    const many = size(SESSIONS);
    const manyForPublished = size(PUBLISHED_SESSIONS);
    const [oneOurs, manyOurs] = [await countOurs(backend, 1), await countOurs(backend, many)];
    const [onePublished, manyPublished] = [
      await countPublished(backend, 1),
      await countPublished(backend, manyForPublished),
    ];
    const interval = figure(PUBLISHED_INTERVAL_MS[backend.name] / 1_000, 's');
    return {
      method: 'Statements that a node sends while its sessions are idle, counted in a proxy before the server.',
      tables: [
        {
          head: ['', 'with 1 session', 'with many'],
          rows: [
            [
              'ours, per heartbeat (every 3 s by default)',
              figure(oneOurs),
              `${figure(manyOurs)} with ${figure(many)} sessions`,
            ],
            [
              `${contender(backend.name, 'published').title}, per ${interval}`,
              figure(onePublished),
              `${figure(manyPublished)} with ${figure(manyForPublished)} sessions`,
            ],
          ],
        },
      ],
      targets: [
        {
          what: `statements per heartbeat with ${figure(many)} sessions`,
          required: `${figure(oneOurs)}, as with 1`,
          measured: figure(manyOurs),
          reached: manyOurs === oneOurs,
        },
      ],
      notes: NOTES[backend.name],
    };
  },
};

/** @returns statements per beat */
async function countOurs(backend: Backend, sessions: number): Promise<number> {
  await using place = await backend.createPlace();
  await using counter = await RequestCounter.start(backend.name, place.url);
  await using manager = openOurs(backend.name, counter.url, { heartbeatMs: HEARTBEAT_MS, keepAliveMs: 0 });
  const streams = Array.from({ length: sessions }, (_, i) => manager.create(`session-${i}`, openStream().controller));
  await Promise.all(streams);
  await new Promise((resolve) => setTimeout(resolve, 2 * HEARTBEAT_MS));
  // From one pause between two beats to another.
  await counter.quiet(QUIET_MS);
  counter.reset();
  await new Promise((resolve) => setTimeout(resolve, BEATS * HEARTBEAT_MS));
  await counter.quiet(QUIET_MS);
  const { attached, failedBeats } = manager.stats();
  if (attached !== sessions || failedBeats > 0) throw new Error(`${attached} streams, ${failedBeats} beats failed`);
  return counter.statements / BEATS;
}

/** @returns statements per interval */
async function countPublished(backend: Backend, sessions: number): Promise<number> {
  await using place = await backend.createPlace();
  await using counter = await RequestCounter.start(backend.name, place.url);
  await using child = await Child.start('receiver.ts', [backend.name, 'published', counter.url]);
  await child.call(
    'hold',
    Array.from({ length: sessions }, (_, i) => `session-${i}`),
  );
  counter.reset();
  await new Promise((resolve) => setTimeout(resolve, PUBLISHED_INTERVAL_MS[backend.name]));
  return counter.statements;
}
