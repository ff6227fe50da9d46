import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { InMemoryStreamSessionManager } from '@tmcp/session-manager';
import type { Benchmark, Context, Report } from '../benchmark.ts';
import { openStream, readAll } from '../client-stream.ts';
import { makeFrame, numberOf } from '../frame.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

const SESSIONS = 64;
const MESSAGES = 64_000;

/** What both versions of the in-memory manager can do. */
type Streams = {
  create(id: string, controller: ReadableStreamDefaultController): void | Promise<void>;
  send(sessions: string[] | undefined, data: string): void | Promise<void>;
};

export const inMemory: Benchmark = {
  title: 'In memory: throughput',
  needs: [],

  async run({ rounds, size }: Context): Promise<Report> {
    const each = Math.ceil(size(MESSAGES) / SESSIONS);
    const ours = new InMemoryStreamSessionManager();
    const [held, published] = [await hold(ours), await hold(await publishedManager())];
    const measured = await interleave(rounds, {
      ours: () => flood(held, each),
      published: () => flood(published, each),
    });
    await ours.close();
    const row = (title: string, name: 'ours' | 'published'): string[] => [
      title,
      figure(measured.median(name, 'perSecond')),
      figure(measured.ratio('perSecond', name, 'published')),
    ];
    return {
      method: `${SESSIONS} senders to ${SESSIONS} streams that are being read, in one process, until the last was read.`,
      tables: [
        {
          head: ['', 'messages/s', 'ratio'],
          rows: [
            row('ours: logged, acknowledged, with event ids', 'ours'),
            row('@tmcp/session-manager 0.3.0: looks through all sessions for each message, keeps nothing', 'published'),
          ],
        },
      ],
      targets: [],
    };
  },
};

/** The published core, which the published manager for PostgreSQL brings along: under its own name it is ours here. */
async function publishedManager(): Promise<Streams> {
  const manifest = findPackageJSON('@tmcp/session-manager', import.meta.resolve('published-session-manager-postgres'));
  if (manifest === undefined) throw new Error('the published core is not installed');
  const core = (await import(join(dirname(manifest), 'src/index.js'))) as {
    InMemoryStreamSessionManager: new () => Streams;
  };
  return new core.InMemoryStreamSessionManager();
}

type Held = { readonly streams: Streams; readonly counts: { received: number; disordered: number; sent: number } };

async function hold(streams: Streams): Promise<Held> {
  const counts = { received: 0, disordered: 0, sent: 0 };
  for (let i = 0; i < SESSIONS; i += 1) {
    const { controller, stream } = openStream();
    let next = 0;
    void readAll(stream, (chunk) => {
      if (numberOf(chunk) !== next) counts.disordered += 1;
      next += 1;
      counts.received += 1;
    });
    await streams.create(`session-${i}`, controller);
  }
  return { streams, counts };
}

/** @throws when a frame was lost, came twice or out of order */
async function flood({ streams, counts }: Held, each: number): Promise<Figures> {
  const first = counts.sent / SESSIONS;
  const begun = performance.now();
  const loop = async (_: unknown, index: number): Promise<void> => {
    for (let i = 0; i < each; i += 1) await streams.send([`session-${index}`], makeFrame(first + i));
  };
  await Promise.all(Array.from({ length: SESSIONS }, loop));
  counts.sent += each * SESSIONS;
  while (counts.received < counts.sent) await new Promise((resolve) => setImmediate(resolve));
  const ms = performance.now() - begun;
  if (counts.received !== counts.sent || counts.disordered > 0) throw new Error(`${counts.disordered} out of order`);
  return { perSecond: (each * SESSIONS * 1_000) / ms };
}
