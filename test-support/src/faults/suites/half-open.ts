import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Direction } from '../../tcp-proxy/proxied-connection.ts';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { CLEAN } from '../oracle.ts';

/** Longer than a heartbeat and its deadline. */
const SILENT_MS = 3_500;

/** Connections through which nothing passes, although both ends believe them to be open. */
export function halfOpenSuite(makeRig: MakeRig): void {
  describe.concurrent('connections that are half-open', () => {
    for (const direction of ['up', 'down', 'both'] satisfies (Direction | 'both')[]) {
      it(`faults/half-open-${direction}: nothing passes for seconds, and nothing is lost or comes twice`, async () => {
        await using rig = await makeRig();
        const { proxy, through } = await rig.proxy();
        // Its calls time out meanwhile: first runs that arrive late, when the network heals, meet their retries.
        const harmed = rig.node({ ...through, sendTimeoutMs: 3_000 });
        const other = rig.node();
        const clients = await rig.connected(8);
        const load = rig.load();
        await sleep(200);
        proxy.blackhole(direction);
        await sleep(SILENT_MS);
        proxy.blackhole(false);
        const healed = performance.now();
        const [client] = clients as [Client];
        await rig.reaches(client, other);
        figure(`half-open ${direction}: next message through after it healed`, performance.now() - healed);
        await load.stop();
        await waitFor(async () => (await harmed.stats()).backlogBytes === 0);
        expect(await rig.settled()).toMatchObject(CLEAN);
        expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'timeout')).toEqual([]);
        expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
        for (const { line } of clients) expect(line.state).toBe('open');
      });
    }

    it('faults/half-open-listener: only the listening connection is deaf; the heartbeat finds it and reads on', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const harmed = rig.node({ ...through });
      const other = rig.node();
      const [client] = (await rig.connected(2, [harmed])) as [Client];
      await using load = rig.load({ nodes: [other] });
      for (let round = 0; round < 2; round += 1) {
        const before = proxy.connections.filter(({ labels }) => labels.has('listener'));
        expect(before).toHaveLength(1);
        for (const connection of before) connection.blackhole('down');
        const took = await rig.reaches(client, other);
        figure('half-open listener: next message through', took);
        expect(await other.has(client.session)).toBe(true);
      }
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.ledger.refusals).toEqual({});
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/half-open-fenced: cut off for longer than it counts as alive, it delivers nothing to what others took over', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const options = { sessionTimeoutMs: 1_500, heartbeatMs: 300 };
      const harmed = rig.node({ ...options, ...through });
      const other = rig.node(options);
      const clients = await rig.connected(9, [harmed]);
      const load = rig.load({ nodes: [other] });
      await sleep(500);
      proxy.blackhole('both');
      const [sample] = clients as [Client];
      await waitFor(async () => !(await other.has(sample.session)));
      const moving = clients.filter((_, i) => i % 3 !== 0);
      await Promise.all(
        moving.map((client, i) => client.connect(other, i % 2 ? { resume: true } : { mayRepeat: true })),
      );
      await waitFor(() => moving.every(({ connection }) => connection.frames.length > 0));
      const had = moving.map(({ connections }) => connections[0]?.line.frames.length);
      await sleep(1_000);
      proxy.blackhole(false);
      await waitFor(() => moving.every(({ connections }) => connections[0]?.line.state !== 'open'));
      expect(moving.map(({ connections }) => connections[0]?.line.frames.length)).toEqual(had);
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      for (const { line } of clients) expect(line.state).toBe('open');
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });
  });
}
