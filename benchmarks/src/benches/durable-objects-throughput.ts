import type { Benchmark, Context, Report } from '../benchmark.ts';
import { Clients } from '../cloudflare/clients.ts';
import type { Deployment } from '../cloudflare/deployment.ts';
import { type DeploymentName, deploymentTitles, describeRuntime, LocalRuntime } from '../cloudflare/local-runtime.ts';
import { makeFrame } from '../frame.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { percentile } from '../measure/statistics.ts';
import { figure } from '../report/format.ts';

const SESSIONS = 32;
const ALONE = 100;
const BURST = 2_000;

export const durableObjectsThroughput: Benchmark = {
  title: 'Durable Objects: throughput and latency of messages to one session',
  group: 'durable-objects',
  needs: [],

  async run({ rounds, roundMs, size }: Context): Promise<Report> {
    await using runtime = await LocalRuntime.start();
    using ours = new Sender(runtime.deployment('ours'));
    using published = new Sender(runtime.deployment('published'));
    const measure = async (sender: Sender): Promise<Figures> => ({
      ...(await sender.oneAfterTheOther(size(ALONE))),
      ...(await sender.inRequestsOfTheirOwn(roundMs)),
      ...(await sender.inOneRequest(size(BURST))),
    });
    await Promise.all([ours.open(SESSIONS), published.open(SESSIONS)]);
    const measured = await interleave<DeploymentName | 'nothing'>(rounds, {
      ours: () => measure(ours),
      published: () => measure(published),
      nothing: () => requestsAlone(runtime.deployment('ours'), size(ALONE)),
    });
    const rate = (name: DeploymentName, what: string): string => figure(measured.median(name, what));
    const ratio = (name: DeploymentName, what: string): string => figure(measured.ratio(what, name, 'published'));
    const row = (name: DeploymentName): string[] => [
      deploymentTitles[name],
      ...['aloneP50', 'aloneP99'].map((what) => figure(measured.median(name, what), 'ms')),
      rate(name, 'requests'),
      ratio(name, 'requests'),
      ...['p50', 'p99'].map((what) => figure(measured.median(name, what), 'ms')),
      rate(name, 'burst'),
      ratio(name, 'burst'),
    ];
    return {
      method:
        `${describeRuntime()} Messages to ${SESSIONS} sessions, each to one of them. Alone: one after the other, from the ` +
        'request to the Worker that sends until the client has the message. In flight: a request for each message, ' +
        `${SESSIONS} at a time, each to a session of its own, which gets its next when it has the last. Burst: one ` +
        `request sends ${figure(size(BURST))} messages in one turn, until the last client has its last.`,
      tables: [
        {
          head: ['', 'alone: p50', 'p99', 'in flight: messages/s', 'ratio', 'p50', 'p99', 'burst: messages/s', 'ratio'],
          rows: [row('ours'), row('published')],
        },
      ],
      targets: [],
      notes: [
        `A request to the same Worker that does nothing took ${figure(measured.median('nothing', 'p50'), 'ms')} (p50), ` +
          `${figure(measured.median('nothing', 'p99'), 'ms')} (p99): that is the local runtime and its HTTP, part of ` +
          'every latency above.',
        'Ours is stored in SQLite on the disk of this machine before it is sent, with an id, and is replayed after ' +
          'faults. The published 0.3.0 stores nothing.',
        'On one machine all objects share two processors with Workers and clients. What shards gain on Cloudflare, where ' +
          'objects run beside each other, cannot be seen here.',
      ],
    };
  },
};

/** Sends to sessions of one deployment, whose messages are numbered. */
class Sender implements Disposable {
  readonly #deployment: Deployment;
  readonly #clients: Clients;
  readonly #numbers: number[] = [];

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.#clients = new Clients(deployment);
  }

  async open(sessions: number): Promise<void> {
    await this.#clients.grow(sessions);
  }

  async oneAfterTheOther(messages: number): Promise<Figures> {
    const latencies: number[] = [];
    for (let sent = 0; sent < messages; sent += 1) latencies.push(await this.#send(sent % this.#sessions.length));
    return { aloneP50: percentile(latencies, 0.5), aloneP99: percentile(latencies, 0.99) };
  }

  async inRequestsOfTheirOwn(ms: number): Promise<Figures> {
    const latencies: number[] = [];
    const begun = performance.now();
    const sendOn = async (index: number): Promise<void> => {
      while (performance.now() - begun < ms) latencies.push(await this.#send(index));
    };
    await Promise.all(this.#sessions.map((_, index) => sendOn(index)));
    const seconds = (performance.now() - begun) / 1_000;
    return {
      requests: latencies.length / seconds,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
    };
  }

  async inOneRequest(messages: number): Promise<Figures> {
    const calls = Array.from({ length: messages }, (_, sent) => {
      const index = sent % this.#sessions.length;
      return { manager: 'streams', method: 'publish', args: [[this.#sessions[index]], this.#nextFrame(index)] };
    });
    const arrival = this.#clients.arrival(messages);
    const begun = performance.now();
    const [last] = await Promise.all([arrival, this.#deployment.call(calls)]);
    return { burst: messages / ((last - begun) / 1_000) };
  }

  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
  }

  get #sessions(): readonly string[] {
    return this.#clients.sessions;
  }

  /** @returns how long the message took to its client */
  async #send(index: number): Promise<number> {
    const arrival = this.#clients.arrival(1, index);
    const begun = performance.now();
    const [at] = await Promise.all([
      arrival,
      this.#deployment.publish([this.#sessions[index] ?? ''], this.#nextFrame(index)),
    ]);
    return at - begun;
  }

  #nextFrame(index: number): string {
    const number = (this.#numbers[index] ?? 0) + 1;
    this.#numbers[index] = number;
    return makeFrame(number);
  }
}

async function requestsAlone(deployment: Deployment, requests: number): Promise<Figures> {
  const times: number[] = [];
  for (let made = 0; made < requests; made += 1) {
    const begun = performance.now();
    await deployment.touch();
    times.push(performance.now() - begun);
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
