import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Benchmark, Context, Report } from '../benchmark.ts';
import type { Call } from '../cloudflare/call.ts';
import type { Deployment, Usage } from '../cloudflare/deployment.ts';
import { type DeploymentName, deploymentTitles, LocalRuntime } from '../cloudflare/local-runtime.ts';
import type { SseClient } from '../cloudflare/sse-client.ts';
import { makeFrame } from '../frame.ts';
import { figure } from '../report/format.ts';

const OPERATIONS = 20;
/** A message is acknowledged 3 s after it came, and what came in between with it. */
const SETTLE_MS = 6_500;
/** Dollars, of November 2026. Twenty incoming WebSocket messages are billed as one request. */
const PRICES = { request: 0.15e-6, messageIn: 0.15e-6 / 20, rowRead: 0.001e-6, rowWritten: 1e-6 } as const;

export const durableObjectsCosts: Benchmark = {
  title: 'Durable Objects: what operations cost',
  group: 'durable-objects',
  needs: [],

  async run({ size }: Context): Promise<Report> {
    await using runtime = await LocalRuntime.start({ metered: true });
    const count = size(OPERATIONS);
    const names: readonly DeploymentName[] = ['ours', 'published'];
    const measured = await Promise.all(names.map((name) => measure(runtime.deployment(name), count)));
    return {
      method:
        'Counted where it happens, in the isolates of objects and Workers in a local workerd, and divided by the number ' +
        'of operations; objects are in memory already. What follows within 6.5 s is included, as the acknowledgement of a ' +
        'message. Price: requests, incoming WebSocket messages and rows by the price list of November 2026, without ' +
        'what is included in a plan.',
      tables: measured.map(({ usages }, index) => ({
        head: [
          deploymentTitles[names[index] ?? 'ours'],
          'requests',
          'rows read',
          'rows written',
          'WebSocket messages in',
          'out',
          'KV reads',
          'KV writes',
          'price of a million',
        ],
        rows: usages.map(([operation, usage]) => rowOf(operation, usage, count)),
      })),
      targets: [],
      notes: [
        `An object of ours that comes into memory reads ${figure(measured[0]?.rowsReadByStart ?? 0)} rows, here with ` +
          `${1 + count} broadcasts and what is named for its sessions in its log.`,
        'Not measured: trimming of the log, which deletes later what a message wrote, and each deleted row counts as ' +
          'one written; pings of idle streams; duration. KV has prices of its own, which are not in the last column.',
      ],
    };
  },
};

type Measured = readonly [operation: string, usage: Usage];

type Measurement = { readonly usages: readonly Measured[]; readonly rowsReadByStart: number };

async function measure(deployment: Deployment, count: number): Promise<Measurement> {
  const sessions = Array.from({ length: count }, () => randomUUID());
  // Brings every object into memory.
  await deployment.publish(undefined, makeFrame(0));
  await deployment.takeCounts();

  const usages: Measured[] = [];
  const operate = async (operation: string, run: () => Promise<unknown>): Promise<void> => {
    await run();
    await sleep(SETTLE_MS);
    usages.push([operation, await deployment.takeCounts()]);
  };
  const each = (call: (session: string) => readonly Call[]) => async (): Promise<void> => {
    for (const session of sessions) await deployment.call(call(session));
  };
  const info = (method: string, ...args: unknown[]): Call => ({ manager: 'info', method, args });

  const clients: SseClient[] = [];
  await operate('open a stream', async () => {
    for (const session of sessions) clients.push(await deployment.open(session));
  });
  await operate('message to one session', async () => {
    for (const session of sessions) await deployment.publish([session], makeFrame(1));
  });
  await operate(`broadcast to ${count} streams`, async () => {
    for (let number = 1; number <= count; number += 1) await deployment.publish(undefined, makeFrame(1 + number));
  });
  const wrong = clients.find(({ numbers }) => numbers.length !== 1 + count);
  if (wrong) throw new Error(`a client got ${wrong.numbers.length} of ${1 + count} frames`);
  await operate(
    'setting the client info',
    each((session) => [info('setClientInfo', session, { name: 'bench', version: '1' })]),
  );
  await each((session) => [
    info('setClientCapabilities', session, {}),
    info('setLogLevel', session, 'info'),
    info('addSubscription', session, `bench://${session}`),
  ])();
  await deployment.takeCounts();
  // 0.3.0 writes a level as JSON and does not know it when it reads it: what counts is that it was asked.
  await operate('the three reads of a POST', async () => {
    for (const session of sessions) {
      const reads = ['getClientInfo', 'getClientCapabilities', 'getLogLevel'];
      await deployment.tryCall(reads.map((method) => info(method, session)));
    }
  });
  await operate(
    'subscribers of a URI that has one',
    each((session) => [info('getSubscriptions', `bench://${session}`)]),
  );
  await operate(
    'end a session (DELETE)',
    each((session) => [{ manager: 'streams', method: 'delete', args: [session] }]),
  );
  for (const client of clients) client.drop();
  await deployment.breakObjects();
  await deployment.publish(undefined, makeFrame(0));
  const { starts, rowsReadByStarts } = await deployment.takeCounts();
  return { usages, rowsReadByStart: rowsReadByStarts / starts };
}

function rowOf(operation: string, usage: Usage, count: number): string[] {
  const { requests, alarms, rowsRead, rowsWritten, messagesIn, messagesOut, kvReads, kvWrites } = usage;
  const price =
    (requests + alarms) * PRICES.request +
    messagesIn * PRICES.messageIn +
    rowsRead * PRICES.rowRead +
    rowsWritten * PRICES.rowWritten;
  const per = [requests + alarms, rowsRead, rowsWritten, messagesIn, messagesOut, kvReads, kvWrites];
  return [operation, ...per.map((value) => figure(value / count)), `$${figure((price / count) * 1e6)}`];
}
