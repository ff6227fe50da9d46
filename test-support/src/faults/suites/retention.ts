import { describe, expect, it } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { FaultRig, MakeRig } from '../fault-rig.ts';
import { CLEAN, judge } from '../oracle.ts';
import type { TestNode } from '../test-node.ts';

const SMALL = { maxLogBytes: 100_000, heartbeatMs: 100 };

/**
 * Writes four times what the log may hold, and waits until it was trimmed beyond a position.
 *
 * @param keepsUp the process that is not to be overtaken, only a stream of it: it is waited for
 */
async function overtake(rig: FaultRig, node: TestNode, position: number, keepsUp?: TestNode): Promise<void> {
  for (let i = 0; i < 100; i += 1) {
    await rig.publish(node, ['nobody'], 'x'.repeat(4_000));
    if (!keepsUp || i % 10 !== 0) continue;
    const head = await headOf(rig);
    await waitFor(async () => Number((await keepsUp.stats()).cursor) >= head);
  }
  await waitFor(async () => (await rig.head()).trimmed > position);
}

const headOf = async (rig: FaultRig): Promise<number> => (await rig.head()).position;

/** Streams of a session are live again: what is sent from now on arrives once and in order. */
async function goesOn(rig: FaultRig, client: Client, node: TestNode, hints: number): Promise<void> {
  const after = rig.again();
  const next = after.client(client.session);
  await next.connect(node, { lastEventId: client.lastEventId });
  for (let i = 0; i < 5; i += 1) await after.reaches(next, node);
  expect(await after.settled()).toMatchObject(CLEAN);
  expect({ hints: next.hints, state: next.line.state }).toEqual({ hints, state: 'open' });
}

/** A log that is trimmed past somebody who still needed it. */
export function retentionSuite(makeRig: MakeRig): void {
  describe.concurrent('a log that is trimmed past a reader', () => {
    it('faults/overtaken-process: a stopped process ends its streams once and says so, as does the one that trimmed', async () => {
      await using rig = await makeRig();
      const node = rig.node(SMALL);
      const { proxy, through } = await rig.proxy();
      const stopped = await rig.remote({ ...SMALL, ...through });
      const clients = await rig.connected(3, [stopped]);
      const [client] = clients as [Client];
      stopped.process.freeze();
      // Else it would find everything in its socket when it wakes up.
      proxy.cutAll();
      await overtake(rig, node, await headOf(rig));
      await rig.publish(node, undefined);
      stopped.process.thaw();
      await waitFor(() => clients.every(({ line }) => line.state !== 'open'));
      await waitFor(() => stopped.reports.includes('discontinuity'));
      await waitFor(() => node.reports.includes('configuration'));
      await goesOn(rig, client, stopped, 3);
      expect(await stopped.stats()).toMatchObject({ discontinuities: 1, notResumed: 1 });
      expect(await node.stats()).toMatchObject({ discontinuities: 0 });
      expect(rig.reportsBeside(...rig.harmless, 'discontinuity', 'configuration', 'not-resumed')).toEqual([]);
    });

    it('faults/overtaken-client: one that was away is told so, goes live at the head and stays there', async () => {
      await using rig = await makeRig();
      const node = rig.node(SMALL);
      const [client] = (await rig.connected(1)) as [Client];
      await client.disconnect();
      await rig.publish(node, [client.session]);
      await overtake(rig, node, await headOf(rig));
      // One that began later: the other may still have in memory what the log has no more.
      const later = rig.node(SMALL);
      await goesOn(rig, client, later, 3);
      expect(later.reports.filter((code) => code === 'not-resumed')).toHaveLength(1);
      expect(rig.reportsBeside('not-resumed', 'configuration')).toEqual([]);
    });

    it('faults/overtaken-quiet: one whose session was quiet all the while misses nothing, and nothing is reported', async () => {
      await using rig = await makeRig();
      const node = rig.node(SMALL);
      const [client] = (await rig.connected(1)) as [Client];
      // Its last event is older than the log by the time it leaves.
      await overtake(rig, node, await headOf(rig));
      await client.disconnect();
      await goesOn(rig, client, node, 0);
      expect(judge(rig.ledger, [client])).toMatchObject(CLEAN);
      expect(rig.reportsBeside('configuration')).toEqual([]);
    });

    it('faults/overtaken-replay: a client that did not read its replay in time is told what it has missed, on the stream it has', async () => {
      await using rig = await makeRig();
      const options = { ...SMALL, maxStreamBufferBytes: 4_096, maxLogBytes: 200_000 };
      const other = rig.node(options);
      const node = rig.node(options);
      const [client] = (await rig.connected(1, [other])) as [Client];
      await client.disconnect();
      for (let i = 0; i < 20; i += 1) await rig.publish(other, [client.session], 'y'.repeat(4_000));
      const opening = client.connect(node, { resume: true });
      client.line.pause();
      await opening;
      await overtake(rig, other, await headOf(rig), node);
      client.line.resume();
      await waitFor(() => client.hints === 3);
      // It has read the beginning of its replay, then the hints, and what comes now.
      await rig.reaches(client, other);
      expect(client.line.state).toBe('open');
      expect(node.reports.filter((code) => code === 'not-resumed')).toHaveLength(1);
      await goesOn(rig, client, node, 0);
      expect(await node.stats()).toMatchObject({ discontinuities: 0, attached: 1 });
      expect(rig.reportsBeside('not-resumed', 'configuration')).toEqual([]);
    });
  });
}
