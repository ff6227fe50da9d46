import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { SessionClient } from '../src/clients/session-client.ts';
import { Cluster } from '../src/cluster.ts';
import { ownServers } from '../src/own-server.ts';
import { connectionsBrokenOff } from '../src/scenarios/broken-connections.ts';
import {
  capabilitiesElsewhere,
  logLevelElsewhere,
  notificationAcrossProcesses,
  subscriptionElsewhere,
} from '../src/scenarios/essentials.ts';
import { listeningAcrossProcesses, listeningAfterShutdown } from '../src/scenarios/listening.ts';
import { processKilled, processStopped } from '../src/scenarios/lost-process.ts';
import { noFigures, type World } from '../src/scenarios/scenario.ts';

describe('three processes on PostgreSQL behind a load balancer without sticky sessions', () => {
  const resources = new AsyncDisposableStack();
  let world: World;

  beforeAll(async () => {
    const server = resources.use(await ownServers.postgres());
    const directory = await mkdtemp(join(tmpdir(), 'example-cluster-test-'));
    resources.defer(() => rm(directory, { recursive: true }));
    const notebook = join(directory, 'notes.jsonl');
    const cluster = resources.use(
      await Cluster.start(3, { backend: 'postgres', address: server.address, notebook, port: 0 }),
    );
    world = { server, cluster, figures: noFigures() };
  });

  afterAll(() => resources.disposeAsync());

  describe.for(['http', 'sse'] as const)('the official client of the session era over %s', (kind) => {
    let client: SessionClient;

    beforeAll(async () => {
      client = await SessionClient.connect(world.cluster, kind);
    });

    afterAll(() => client[Symbol.asyncDispose]());

    it(`cluster/${kind}-capabilities: what it said at initialize is known to another process`, async () => {
      await capabilitiesElsewhere(world, client);
    });

    it(`cluster/${kind}-notification: a change made by one process comes over a stream held by another`, async () => {
      await notificationAcrossProcesses(world, client);
    });

    it(`cluster/${kind}-log-level: a level set on one process is obeyed by another`, async () => {
      await logLevelElsewhere(world, client);
    });

    it(`cluster/${kind}-subscription: a subscription made on one process is served by another`, async () => {
      await subscriptionElsewhere(world, client);
    });

    it(`cluster/${kind}-killed: nothing is lost with a killed process that held the stream`, async () => {
      await processKilled(world, client);
    });
  });

  describe('the official client over Streamable HTTP', () => {
    it('cluster/connections-broken-off: 1,000 notifications in order while the database ends connections', async () => {
      await using client = await SessionClient.connect(world.cluster, 'http');
      await connectionsBrokenOff(world, client);
    });

    it('cluster/stopped: nothing is lost and nothing comes twice with a process that is stopped', async () => {
      await using client = await SessionClient.connect(world.cluster, 'http');
      await processStopped(world, client);
    });
  });

  describe('the official client of 2026-07-28', () => {
    it('cluster/listen: hears of a change made by another process', async () => {
      await listeningAcrossProcesses(world);
    });

    it('cluster/listen-shutdown: is told when its process stops, and goes on with another', async () => {
      await listeningAfterShutdown(world);
    });
  });
});
