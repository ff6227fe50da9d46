import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { describe, expect, it } from 'vitest';
import type { Client } from './support/client.ts';
import { figure } from './support/figures.ts';
import { writeMessage } from './support/message.ts';
import { CLEAN } from './support/oracle.ts';
import { OUTAGE_CODES, Rig } from './support/rig.ts';

const WINDOW = { resumeWindowMs: 1_000, sessionTimeoutMs: 1_000, heartbeatMs: 200 };
/** More than twice the window, and so longer than the log is kept. */
const OUTAGE_MS = 3_000;

type Outage = { begin(server: PostgresServer): Promise<void>; end(server: PostgresServer): Promise<void> };

const outages: Record<string, Outage> = {
  'shut-down': { begin: (server) => server.shutDown(), end: (server) => server.start() },
  crashed: { begin: (server) => server.kill(), end: (server) => server.start() },
  frozen: { begin: async (server) => server.freeze(), end: async (server) => server.thaw() },
};

describe.concurrent('an outage of the whole backend, longer than twice the resume window', () => {
  for (const [name, { begin, end }] of Object.entries(outages)) {
    it(`faults/outage-${name}: nothing accepted is lost, nobody is cleaned away, and streams stay open`, async () => {
      await using server = await startPostgres();
      await using rig = await Rig.on(server);
      const nodes = [rig.node(WINDOW), rig.node(WINDOW), rig.node({ ...WINDOW, sendTimeoutMs: 1_000 })] as const;
      // One of them has a short deadline, and opening takes as long as the machine lets it.
      for (const node of nodes) await waitFor(async () => (await node.has('nobody').catch(() => undefined)) === false);
      const clients = await rig.connected(9);
      const before = await rig.query('select id from tmcp_sessions_node order by id');
      expect(before).toHaveLength(3);
      const load = rig.load();
      await sleep(300);
      // One client loses its stream in the last moment, and cannot come back before the backend does.
      const [gone, open] = clients as [Client, Client];
      await gone.disconnect();
      await begin(server);
      const late = rig.ledger
        .sender()
        .send([open.session], (label) => nodes[2].publish([open.session], writeMessage(label)));
      expect((await late).refused).toBe('timeout');
      await sleep(OUTAGE_MS - 1_000);
      await end(server);
      const up = performance.now();
      await rig.reaches(open, nodes[0]);
      figure(`outage, ${name}: next message through after its end`, performance.now() - up);
      await gone.connect(nodes[1], { resume: true });
      // Long enough for everything that cleans up to have done so.
      await sleep(WINDOW.resumeWindowMs * 2);
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'timeout')).toEqual([]);
      expect(await rig.query('select id from tmcp_sessions_node order by id')).toEqual(before);
      expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
      for (const { line } of clients) expect(line.state).toBe('open');
      for (const node of nodes) expect(await node.stats()).toMatchObject({ discontinuities: 0, notResumed: 0 });
    });
  }

  it('faults/outage-cleaning: after it, a process that is really dead is still cleaned away, by those who see it silent', async () => {
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
    await waitFor(async () => (await rig.query('select from tmcp_sessions_node')).length === 1);
    const took = performance.now() - up;
    figure('outage: a dead process is cleaned away after its end (window 1 s)', took);
    expect(took).toBeGreaterThan(WINDOW.resumeWindowMs);
    expect(await node.has('session-2')).toBe(false);
  });
});
