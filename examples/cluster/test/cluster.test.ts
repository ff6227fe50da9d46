import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisServer } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { BackendName } from '../src/backends.ts';
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

describe('three processes on PostgreSQL behind a load balancer without sticky sessions', () => actAsOne('postgres'));

describeWith(redisServer, 'three processes on Redis behind a load balancer without sticky sessions', () =>
  actAsOne('redis'),
);

function actAsOne(backend: BackendName): void {
  const resources = new AsyncDisposableStack();
  let world: World;

  beforeAll(async () => {
    const server = resources.use(await ownServers[backend]());
    const directory = await mkdtemp(join(tmpdir(), 'example-cluster-test-'));
    resources.defer(() => rm(directory, { recursive: true }));
    const notebook = join(directory, 'notes.jsonl');
    const cluster = resources.use(await Cluster.start(3, { backend, address: server.address, notebook, port: 0 }));
    world = { server, cluster, figures: noFigures() };
  });

  afterAll(() => resources.disposeAsync());

  describe.for(['http', 'sse'] as const)('the official client of the session era over %s', (kind) => {
    let client: SessionClient;

    beforeAll(async () => {
      client = await SessionClient.connect(world.cluster, kind);
    });

    afterAll(() => client[Symbol.asyncDispose]());

    it(`cluster/${backend}-${kind}-capabilities: what it said at initialize is known to another process`, async () => {
      await capabilitiesElsewhere(world, client);
    });

    it(`cluster/${backend}-${kind}-notification: a change made by one process comes over a stream held by another`, async () => {
      await notificationAcrossProcesses(world, client);
    });

    it(`cluster/${backend}-${kind}-log-level: a level set on one process is obeyed by another`, async () => {
      await logLevelElsewhere(world, client);
    });

    it(`cluster/${backend}-${kind}-subscription: a subscription made on one process is served by another`, async () => {
      await subscriptionElsewhere(world, client);
    });

    it(`cluster/${backend}-${kind}-killed: nothing is lost with a killed process that held the stream`, async () => {
      await processKilled(world, client);
    });
  });

  describe('the official client over Streamable HTTP', () => {
    it(`cluster/${backend}-connections-broken-off: 1,000 notifications in order while the server ends connections`, async () => {
      await using client = await SessionClient.connect(world.cluster, 'http');
      await connectionsBrokenOff(world, client);
    });

    it(`cluster/${backend}-stopped: nothing is lost and nothing comes twice with a process that is stopped`, async () => {
      await using client = await SessionClient.connect(world.cluster, 'http');
      await processStopped(world, client);
    });
  });

  describe('the official client of 2026-07-28', () => {
    it(`cluster/${backend}-listen: hears of a change made by another process`, async () => {
      await listeningAcrossProcesses(world);
    });

    it(`cluster/${backend}-listen-shutdown: is told when its process stops, and goes on with another`, async () => {
      await listeningAfterShutdown(world);
    });
  });
}
