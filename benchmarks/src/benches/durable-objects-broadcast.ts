import type { Benchmark, Context, Report } from '../benchmark.ts';
import { Clients } from '../cloudflare/clients.ts';
import type { Deployment } from '../cloudflare/deployment.ts';
import { type DeploymentName, deploymentTitles, describeRuntime, LocalRuntime } from '../cloudflare/local-runtime.ts';
import { makeFrame } from '../frame.ts';
import { type Figures, interleave, type Rounds } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

const STREAMS = [500, 2_000];

export const durableObjectsBroadcast: Benchmark = {
  title: 'Durable Objects: one broadcast to 500 and 2,000 streams',
  group: 'durable-objects',
  needs: [],

  async run({ rounds, size }: Context): Promise<Report> {
    await using runtime = await LocalRuntime.start();
    using ours = new Audience(runtime.deployment('ours'));
    using published = new Audience(runtime.deployment('published'));
    const rows: string[][] = [];
    for (const streams of STREAMS.map(size)) {
      const opened = [await ours.grow(streams), await published.grow(streams)];
      const measured = await interleave<DeploymentName>(rounds, {
        ours: () => ours.broadcast(),
        published: () => published.broadcast(),
      });
      rows.push(rowOf('ours', measured, streams, opened[0]), rowOf('published', measured, streams, opened[1]));
    }
    return {
      method:
        `${describeRuntime()} From the request to the Worker that sends until the last client has its message, over HTTP ` +
        'as SSE. Accepted: until that request is answered.',
      tables: [
        {
          head: ['', 'streams', 'until the last has it', 'ratio', 'accepted', 'opening one more stream, 50 at a time'],
          rows,
        },
      ],
      targets: [],
      notes: [
        'Most of it is the local runtime and the clients, which share two processors: each stream is an HTTP response of ' +
          'its own. Ours adds one call and one row in each of 8 shards.',
      ],
    };
  },
};

function rowOf(name: DeploymentName, measured: Rounds<DeploymentName>, streams: number, opened = Number.NaN): string[] {
  return [
    deploymentTitles[name],
    figure(streams),
    figure(measured.median(name, 'ms'), 'ms'),
    figure(measured.ratio('ms', name, 'published')),
    figure(measured.median(name, 'accepted'), 'ms'),
    figure(opened, 'ms'),
  ];
}

/** All clients of one deployment. */
class Audience implements Disposable {
  readonly #deployment: Deployment;
  readonly #clients: Clients;
  #number = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.#clients = new Clients(deployment);
  }

  /** @returns what each new stream took, in milliseconds */
  async grow(streams: number): Promise<number> {
    const more = streams - this.#clients.sessions.length;
    const begun = performance.now();
    await this.#clients.grow(streams);
    return (performance.now() - begun) / more;
  }

  async broadcast(): Promise<Figures> {
    this.#number += 1;
    const arrival = this.#clients.arrival(this.#clients.sessions.length);
    const begun = performance.now();
    const accepted = this.#deployment.publish(undefined, makeFrame(this.#number)).then(() => performance.now());
    const [last, answered] = await Promise.all([arrival, accepted]);
    return { ms: last - begun, accepted: answered - begun };
  }

  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
  }
}
