import { PostgresStreamSessionManager } from '@tmcp/session-manager-postgres';
import type { PostgresServer } from 'test-support';
import type { Benchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { openStream } from '../client-stream.ts';
import { figure } from '../report/format.ts';
import { RequestCounter } from '../request-counter.ts';

const SESSIONS = 10_000;
/** With 10,000 its statements keep its connection so busy on a loaded machine that it never gets to the end. */
const PUBLISHED_SESSIONS = 1_000;
/** Beats that are counted. More often than by default, to count more of them; what is counted is per beat. */
const BEATS = 10;
const HEARTBEAT_MS = 500;
const QUIET_MS = 200;
/** The published manager touches the row of each session every seven seconds. */
const PUBLISHED_INTERVAL_MS = 7_000;

export const heartbeats: Benchmark = {
  title: 'PostgreSQL: what idle sessions cost',

  async run({ server, size }: Context): Promise<Report> {
    const many = size(SESSIONS);
    const manyForPublished = size(PUBLISHED_SESSIONS);
    const [oneOurs, manyOurs] = [await countOurs(server, 1), await countOurs(server, many)];
    const [onePublished, manyPublished] = [
      await countPublished(server, 1),
      await countPublished(server, manyForPublished),
    ];
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
              '@tmcp/session-manager-postgres 0.3.0, per 7 s',
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
      notes: ['A heartbeat is one statement; the others trim the log and look for dead processes.'],
    };
  },
};

/** @returns statements per beat */
async function countOurs(server: PostgresServer, sessions: number): Promise<number> {
  await using counter = await RequestCounter.start(server);
  const connectionString = counter.url(await server.createDatabase());
  await using manager = new PostgresStreamSessionManager({
    connectionString,
    heartbeatMs: HEARTBEAT_MS,
    keepAliveMs: 0,
  });
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
async function countPublished(server: PostgresServer, sessions: number): Promise<number> {
  await using counter = await RequestCounter.start(server);
  await using child = await Child.start('receiver.ts', ['published', counter.url(await server.createDatabase())]);
  await child.call(
    'hold',
    Array.from({ length: sessions }, (_, i) => `session-${i}`),
  );
  counter.reset();
  await new Promise((resolve) => setTimeout(resolve, PUBLISHED_INTERVAL_MS));
  return counter.statements;
}
