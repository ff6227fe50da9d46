import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { FROZEN, outagesSuite } from 'test-support/fault-suites';
import { figure } from 'test-support/faults';
import { describe, expect, it } from 'vitest';
import { BACKEND, Rig } from './support/rig.ts';

outagesSuite<PostgresServer>(BACKEND, {
  'shut-down': { begin: (server) => server.shutDown(), end: (server) => server.start() },
  crashed: { begin: (server) => server.kill(), end: (server) => server.start() },
  frozen: FROZEN,
});

const WINDOW = { resumeWindowMs: 1_000, sessionTimeoutMs: 1_000, heartbeatMs: 200 };

describe.concurrent('after an outage', () => {
  it('faults/outage-cleaning: a process that is really dead is still cleaned away, by those who see it silent', async () => {
    await using server = await startPostgres();
    await using rig = await Rig.on(server);
    const node = rig.node(WINDOW);
    const dying = await rig.remote(WINDOW);
    await rig.connected(2);
    await server.shutDown();
    await dying.kill();
    await sleep(500);
    await server.start();
    const up = performance.now();
    await waitFor(async () => (await rig.knownNodes()).length === 1);
    const took = performance.now() - up;
    figure('outage: a dead process is cleaned away after its end (window 1 s)', took);
    expect(took).toBeGreaterThan(WINDOW.resumeWindowMs);
    expect(await node.has('session-2')).toBe(false);
  });
});
