import type { PostgresServer } from 'test-support';
import type { Benchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { openStream, readAll } from '../client-stream.ts';
import type { ContenderName } from '../contenders/index.ts';
import { makeFrame } from '../frame.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import type { ReceiverRound } from '../programs/receiver.ts';
import { figure } from '../report/format.ts';

const STREAMS = 10_000;
const REQUIRED_RATIO = 1 / 40;

export const broadcast: Benchmark = {
  title: 'PostgreSQL: one broadcast to 10,000 streams of a node',

  async run(context: Context): Promise<Report> {
    const { server, rounds } = context;
    const streams = context.size(STREAMS);
    await using ours = await Audience.start(server, 'ours', streams);
    await using channels = await Audience.start(server, 'channel-per-session', streams);
    await using published = await Audience.start(server, 'published', streams);
    const measured = await interleave(rounds, {
      ours: () => ours.broadcast(),
      channels: () => channels.sendToEach(),
      published: () => published.broadcast(),
      enqueue: async () => enqueueOnly(streams),
    });
    const ratio = measured.ratio('ms', 'ours', 'channels');
    const row = (title: string, name: 'ours' | 'channels' | 'published' | 'enqueue'): string[] => [
      title,
      figure(measured.median(name, 'ms'), 'ms'),
      name === 'enqueue' ? '' : figure(measured.ratio('ms', 'channels', name)),
      figure(Math.max(...measured.values(name, 'lost'))),
    ];
    return {
      method:
        `One process sends, another holds ${figure(streams)} open streams that are being read. From the call until the ` +
        'last controller has its chunk, the loop over all controllers included.',
      tables: [
        {
          head: ['', 'until the last has it', 'times as fast as one query per session', 'most lost in a round'],
          rows: [
            row('one channel and query per session, 8 connections', 'channels'),
            row('@tmcp/session-manager-postgres 0.3.0, frame quoted for it', 'published'),
            row("ours, durability 'commit'", 'ours'),
            row('of which the bare loop over the controllers', 'enqueue'),
          ],
        },
      ],
      targets: [
        {
          what: 'ours, to one channel and query per session',
          required: `≤ 1/${1 / REQUIRED_RATIO}`,
          measured: `1/${figure(1 / ratio)}`,
          reached: ratio <= REQUIRED_RATIO,
        },
      ],
      notes: [
        'The published 0.3.0 leaves out every session whose row was not touched for 10 seconds, and deletes it. It ' +
          'touches each row every 7 seconds with a query of its own: a busy process loses streams that are open.',
      ],
    };
  },
};

/** One process that holds many streams, and one that sends to all of them. */
class Audience implements AsyncDisposable {
  static async start(server: PostgresServer, contender: ContenderName, streams: number): Promise<Audience> {
    const url = await server.createDatabase();
    const sessions = Array.from({ length: streams }, (_, index) => `session-${index}`);
    const holder = await Child.start('receiver.ts', [contender, url]);
    await holder.call('hold', sessions);
    const sender = await Child.start('sender.ts', [contender, url]);
    return new Audience(sender, holder, sessions, contender === 'published');
  }

  readonly #sender: Child;
  readonly #holder: Child;
  readonly #sessions: readonly string[];
  readonly #mayLose: boolean;
  #number = 0;

  private constructor(sender: Child, holder: Child, sessions: readonly string[], mayLose: boolean) {
    this.#sender = sender;
    this.#holder = holder;
    this.#sessions = sessions;
    this.#mayLose = mayLose;
  }

  broadcast(): Promise<Figures> {
    return this.#measure('broadcast', this.#number);
  }

  sendToEach(): Promise<Figures> {
    return this.#measure('sendToEach', { sessions: this.#sessions, number: this.#number });
  }

  /** @throws when a stream did not get it, or got another one; the published manager may lose some */
  async #measure(method: string, argument: unknown): Promise<Figures> {
    this.#number += 1;
    await this.#holder.call('begin');
    const { startedAt } = await this.#sender.call<{ startedAt: number }>(method, argument);
    const mine = this.#sessions.length;
    const { received, disordered, handedAt } = await this.#holder.call<ReceiverRound>('finish', { mine, all: 0 });
    if (!this.#mayLose && (received !== mine || disordered > 0)) {
      throw new Error(`${received} of ${mine} arrived, ${disordered} out of order`);
    }
    return { ms: handedAt - startedAt, lost: mine - received };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender[Symbol.asyncDispose]();
    await this.#holder[Symbol.asyncDispose]();
  }
}

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
