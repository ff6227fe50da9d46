import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { FaultBackend, FaultServer } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { writeMessage } from '../message.ts';
import { CLEAN } from '../oracle.ts';
import { OUTAGE_CODES } from '../rig.ts';

/** Whoever lost its stream in an outage has one window after it; on a busy machine its process is back after 2 s. */
const WINDOW = { resumeWindowMs: 3_000, sessionTimeoutMs: 1_000, heartbeatMs: 200 };
/** Where nobody has to come back. */
const SHORT = { ...WINDOW, resumeWindowMs: 1_000 };
/** More than twice the window, and so longer than the log is kept. */
const OUTAGE_MS = 7_000;

export type Outage<Server> = { begin(server: Server): Promise<void>; end(server: Server): Promise<void> };

/** An outage that no backend loses anything by. */
export const FROZEN: Outage<FaultServer> = {
  begin: async (server) => server.freeze(),
  end: async (server) => server.thaw(),
};

/** @param outages from which the server comes back with everything it had accepted */
export function outagesSuite<Server extends FaultServer>(
  { startServer, rigOn }: FaultBackend<Server>,
  outages: Readonly<Record<string, Outage<Server>>>,
): void {
  describe.concurrent('an outage of the whole backend, longer than twice the resume window', () => {
    for (const [name, { begin, end }] of Object.entries(outages)) {
      it(`faults/outage-${name}: nothing accepted is lost, nobody is cleaned away, and streams stay open`, async () => {
        await using server = await startServer();
        await using rig = await rigOn(server);
        const nodes = [rig.node(WINDOW), rig.node(WINDOW), rig.node({ ...WINDOW, sendTimeoutMs: 2_000 })] as const;
        // One of them has a short deadline, and opening takes as long as the machine lets it.
        for (const node of nodes)
          await waitFor(async () => (await node.has('nobody').catch(() => undefined)) === false);
        const clients = await rig.connected(9);
        const before = await rig.knownNodes();
        expect(before).toHaveLength(3);
        const load = rig.load({ pauseMs: 20 });
        await sleep(300);
        // One client loses its stream in the last moment, and cannot come back before the backend does.
        const [gone, open] = clients as [Client, Client];
        await gone.disconnect();
        await begin(server);
        const late = rig.ledger
          .sender()
          .send([open.session], (label) => nodes[2].publish([open.session], writeMessage(label)));
        expect((await late).refused).toBe('timeout');
        await sleep(OUTAGE_MS - 2_000);
        await end(server);
        const up = performance.now();
        const back = gone.connect(nodes[1], { resume: true });
        await rig.reaches(open, nodes[0]);
        figure(`outage, ${name}: next message through after its end`, performance.now() - up);
        await back;
        // Long enough for everything that cleans up to have done so.
        await sleep(WINDOW.resumeWindowMs * 2);
        await load.stop();
        expect(await rig.settled()).toMatchObject(CLEAN);
        expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'timeout')).toEqual([]);
        expect(await rig.knownNodes()).toEqual(before);
        expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
        for (const { line } of clients) expect(line.state).toBe('open');
        for (const node of nodes) expect(await node.stats()).toMatchObject({ discontinuities: 0, notResumed: 0 });
      }, 60_000);
    }

    it('faults/outage-refused: neither does one that only the processes see, and they do not storm the server', async () => {
      await using server = await startServer();
      await using rig = await rigOn(server);
      const { proxy, through } = await rig.proxy();
      const nodes = [rig.node({ ...SHORT, ...through }), rig.node({ ...SHORT, ...through })] as const;
      const clients = await rig.connected(6);
      const load = rig.load();
      await sleep(300);
      const before = proxy.accepted;
      await proxy.refuse(true);
      proxy.cutAll();
      await sleep(2_500);
      await proxy.refuse(false);
      const up = performance.now();
      await rig.reaches(clients[0] as Client, nodes[0]);
      figure('outage, refused: next message through after its end', performance.now() - up);
      await sleep(SHORT.resumeWindowMs * 2);
      await load.stop();
      figure('outage, refused: connections afterwards', proxy.accepted - before, '');
      expect(proxy.accepted - before).toBeLessThan(30);
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.ledger.refusals).toEqual({});
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
      for (const { line } of clients) expect(line.state).toBe('open');
      for (const node of nodes) expect(await node.stats()).toMatchObject({ discontinuities: 0, notResumed: 0 });
    });
  });

  describe.concurrent('a server that is not there yet', () => {
    it('faults/starts-later: what is called before the server starts is done once it has', async () => {
      await using server = await startServer();
      await using rig = await rigOn(server);
      await server.shutDown();
      const node = rig.node();
      const client = rig.client();
      const opening = client.connect(node);
      const sending = rig.ledger.sender().send(undefined, () => node.publish(undefined, writeMessage('early')));
      const calls = [opening, sending, node.has('nobody')];
      await waitFor(() => node.reports.includes('unavailable'));
      expect(await node.manager.health()).toMatchObject({ ok: false, error: { code: 'unavailable' } });
      await server.start();
      await Promise.all(calls);
      expect(rig.ledger.refusals).toEqual({});
      await rig.reaches(client, node);
      const { ok, error, warnings } = await node.manager.health();
      expect({ ok, error }).toEqual({ ok: true, error: undefined });
      expect(warnings.filter(({ code }) => !rig.harmless.includes(code))).toEqual([]);
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/never-starts: every call ends by its deadline with a reason, and so does close', async () => {
      await using server = await startServer();
      const rig = await rigOn(server);
      await server.shutDown();
      // Any call that forgot its deadline would outlast the test.
      const node = rig.node({ sendTimeoutMs: 1_000 });
      const calls = [rig.client().connect(node), node.publish(['a'], 'data: x\n\n'), node.has('a')];
      const codes = (await Promise.allSettled(calls)).map((call) => call.status === 'rejected' && call.reason.code);
      for (const code of codes) expect(OUTAGE_CODES).toContain(code);
      await node.manager.send(['a'], 'data: x\n\n');
      await node.delete('a');
      await rig.close();
      expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
    });
  });
}
