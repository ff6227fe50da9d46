/**
 * `pnpm demo --backend redis`: starts a server to keep sessions in (PostgreSQL unless told otherwise) and three server
 * processes behind a load balancer, and shows with the official MCP clients that the processes act as one. Each step is
 * checked; the exit code is 0 only if all of them held.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BackendName, backendName } from './backends.ts';
import { SessionClient, type TransportKind } from './clients/session-client.ts';
import { Cluster } from './cluster.ts';
import { type OwnServer, ownServers } from './own-server.ts';
import { Report } from './report.ts';
import { connectionsBrokenOff } from './scenarios/broken-connections.ts';
import {
  capabilitiesElsewhere,
  logLevelElsewhere,
  notificationAcrossProcesses,
  subscriptionElsewhere,
} from './scenarios/essentials.ts';
import { listeningAcrossProcesses, listeningAfterShutdown } from './scenarios/listening.ts';
import { processKilled, processStopped } from './scenarios/lost-process.ts';
import { noFigures, type SessionScenario, type World } from './scenarios/scenario.ts';

const PROCESSES = 3;

const SESSION_SCENARIOS: readonly SessionScenario[] = [
  capabilitiesElsewhere,
  notificationAcrossProcesses,
  logLevelElsewhere,
  subscriptionElsewhere,
  connectionsBrokenOff,
  processStopped,
  processKilled,
];

const HEADINGS: Readonly<Record<TransportKind, string>> = {
  http: 'Streamable HTTP, client @modelcontextprotocol/sdk',
  sse: 'HTTP+SSE, the older transport, same client',
};

const report = new Report();
/** What the server processes write: shown when something goes wrong. */
const serverOutput: string[] = [];

/** There is nothing to keep sessions in, and the message says what to do about it. */
class NoServer extends Error {}

async function startServer(backend: BackendName): Promise<OwnServer> {
  try {
    return await ownServers[backend]();
  } catch (cause) {
    throw new NoServer(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

async function startWorld(backend: BackendName, server: OwnServer, resources: AsyncDisposableStack): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'example-cluster-'));
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  const cluster = await Cluster.start(PROCESSES, {
    backend,
    address: server.address,
    notebook: join(directory, 'notes.jsonl'),
    port: 0,
    onOutput: (name, line) => serverOutput.push(`[${name}] ${line}`),
    onCrash: (name, how) => serverOutput.push(`[${name}] ended unasked: ${how}`),
  });
  resources.use(cluster);
  return { server, cluster, figures: noFigures() };
}

async function step(name: string, scenario: Promise<string>): Promise<void> {
  try {
    report.held(await scenario);
  } catch (cause) {
    throw new Error(`${name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

async function show(world: World): Promise<void> {
  const { server, cluster, figures } = world;
  report.paragraph(
    `${server.title} is running, and so are the server processes ${cluster.names.join(', ')}. ` +
      'A load balancer gives each request to the next one of them.',
  );
  for (const kind of ['http', 'sse'] as const) {
    report.heading(HEADINGS[kind]);
    await using client = await SessionClient.connect(cluster, kind);
    for (const scenario of SESSION_SCENARIOS) await step(scenario.name, scenario(world, client));
    figures.notifications += client.inbox.all.length;
  }
  report.heading('Protocol 2026-07-28, client @modelcontextprotocol/client');
  await step('listeningAcrossProcesses', listeningAcrossProcesses(world));
  await step('listeningAfterShutdown', listeningAfterShutdown(world));
  report.summary(figures, server.title);
}

async function run(backend: BackendName): Promise<void> {
  const resources = new AsyncDisposableStack();
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      interrupted = true;
      await resources.disposeAsync();
      process.exit(130);
    });
  }
  try {
    const server = resources.use(await startServer(backend));
    await show(await startWorld(backend, server, resources));
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof NoServer) console.error(error.message);
    else if (!interrupted) report.failed(error, serverOutput);
  } finally {
    await resources.disposeAsync();
  }
}

try {
  const { values } = parseArgs({
    // pnpm hands a separating `--` on.
    args: process.argv.slice(2).filter((argument) => argument !== '--'),
    options: { backend: { type: 'string', default: 'postgres' } },
  });
  await run(backendName(values.backend));
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : error);
}
