import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ProxiedConnection } from '../../tcp-proxy/proxied-connection.ts';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { FaultRig, MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { CLEAN } from '../oracle.ts';

const isListener = ({ labels }: ProxiedConnection): boolean => labels.has('listener');
const isSender = (connection: ProxiedConnection): boolean => !isListener(connection);

const cuts: Record<string, (connection: ProxiedConnection) => boolean> = {
  listener: isListener,
  sender: isSender,
  both: () => true,
};

/** What no lost connection may change: nothing is refused, and every client still has its first stream. */
export async function isWhole(rig: FaultRig, clients: readonly Client[]): Promise<void> {
  expect(await rig.settled()).toMatchObject(CLEAN);
  expect(rig.ledger.refusals).toEqual({});
  expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
  for (const { line, connections } of clients) {
    expect({ state: line.state, streams: connections.length }).toEqual({ state: 'open', streams: 1 });
  }
}

/** Connections that are cut between the processes and their server. */
export function lostConnectionsSuite(makeRig: MakeRig): void {
  describe.concurrent('connections that are lost under load', () => {
    for (const [name, fits] of Object.entries(cuts)) {
      it(`faults/cut-${name}: five times under load, everything accepted arrives once and in order`, async () => {
        await using rig = await makeRig();
        const { proxy, through } = await rig.proxy();
        const harmed = rig.node(through);
        const other = rig.node();
        const clients = await rig.connected(8);
        const load = rig.load();
        for (let round = 0; round < 5; round += 1) {
          await sleep(150);
          // What was cut before may still be on its way back.
          await waitFor(() => proxy.cut(fits) > 0);
          const [client] = clients as [Client];
          figure(`cut ${name}: next message through`, await rig.reaches(client, round % 2 ? other : harmed));
        }
        await load.stop();
        await isWhole(rig, clients);
      });
    }

    it('faults/cut-large: a large message that cannot be fetched for a while holds up its stream, and then comes in order', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const harmed = rig.node({ ...through, heartbeatMs: 60_000, sessionTimeoutMs: 180_000 });
      const other = rig.node();
      const [client, bystander] = (await rig.connected(2, [harmed])) as [Client, Client];
      // It goes on listening, and can reach nothing else.
      await proxy.refuse(true);
      proxy.cut(isSender);
      for (let i = 0; i < 3; i += 1) {
        await rig.publish(other, [client.session], `before ${i}`);
        await rig.publish(other, [client.session], 'x'.repeat(70_000));
        await rig.publish(other, [client.session], `behind ${i}`);
      }
      await rig.reaches(bystander, other);
      await waitFor(() => harmed.reports.includes('unavailable'));
      await proxy.refuse(false);
      expect(await rig.settled()).toMatchObject(CLEAN);
      await rig.reaches(client, other);
      await isWhole(rig, [client, bystander]);
    });
  });
}
