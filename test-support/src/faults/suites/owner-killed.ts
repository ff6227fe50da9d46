import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { FaultRig, MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { CLEAN } from '../oracle.ts';
import type { RemoteNode } from '../remote-node.ts';

/** Process that others believe alive for long once it is gone, unless they notice that it is. */
const PATIENT = { sessionTimeoutMs: 60_000 };

/** Waits until the holder of these sessions has written a cursor since it took them over. */
async function settledIn(rig: FaultRig): Promise<void> {
  await waitFor(async () => {
    const holders = await Promise.all(rig.clients.map(({ session }) => rig.holder(session)));
    return holders.every(({ at, cursor }) => cursor > at);
  });
}

/** SIGKILL. @returns the cursor that it leaves behind for a session of its own */
async function kill(rig: FaultRig, owner: RemoteNode, { session }: Client): Promise<number> {
  await owner.kill();
  return (await rig.holder(session)).cursor;
}

/** Processes that die without a word. */
export function ownerKilledSuite(makeRig: MakeRig): void {
  describe.concurrent('a process that is killed', () => {
    it('faults/owner-killed: its sessions are free long before its beat is too old, and go on elsewhere with and without an id', async () => {
      await using rig = await makeRig();
      const survivors = [rig.node(PATIENT), rig.node(PATIENT)] as const;
      const [first, second] = survivors;
      const owners = await Promise.all([rig.remote(PATIENT), rig.remote(PATIENT), rig.remote(PATIENT)]);
      const clients = await rig.connected(12, [first]);
      const load = rig.load({ nodes: survivors, pauseMs: 2 });
      for (const owner of owners) {
        await Promise.all(clients.map((client) => client.connect(owner, { resume: true })));
        await settledIn(rig);
        const [sample] = clients as [Client];
        const killed = performance.now();
        const cursor = await kill(rig, owner, sample);
        await waitFor(async () => !(await first.has(sample.session)));
        figure('killed: has() is false after', performance.now() - killed);
        const seen = new Map(clients.map((client) => [client.session, client.labels.length]));
        const moved = performance.now();
        await Promise.all(
          clients.map((client, i) => client.connect(second, i % 2 ? { resume: true } : { mayRepeat: true })),
        );
        await waitFor(() => clients.every((client) => client.labels.length > (seen.get(client.session) ?? 0)));
        figure('killed: all streams of the successor deliver after', performance.now() - moved);
        const verdict = await rig.settled();
        expect(verdict).toMatchObject(CLEAN);
        // Only what lay beyond the last written cursor may have come again.
        const stream = sample.connections.length - 1;
        expect(verdict.repeated.filter((repeat) => repeat.stream === stream && repeat.position <= cursor)).toEqual([]);
      }
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.ledger.refusals).toEqual({});
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/owner-killed-chain: three owners in a row die before, while and after they take over, nothing is lost', async () => {
      await using rig = await makeRig();
      const survivor = rig.node();
      const [a, b, c] = (await Promise.all([rig.remote(), rig.remote(), rig.remote()])) as [
        RemoteNode,
        RemoteNode,
        RemoteNode,
      ];
      const clients = await rig.connected(10, [survivor]);
      const load = rig.load({ nodes: [survivor], pauseMs: 2 });
      await Promise.all(clients.map((client) => client.connect(a)));
      await sleep(700);
      await a.kill();
      // Waits for what it can know of its predecessor, and dies before it knows.
      await Promise.all(clients.map((client) => client.connect(b, { mayRepeat: true })));
      await b.kill();
      await Promise.all(clients.map((client) => client.connect(c, { mayRepeat: true })));
      await waitFor(() => clients.every(({ connection }) => connection.frames.length > 0));
      // In the middle of its replays.
      await c.kill();
      await Promise.all(clients.map((client) => client.connect(survivor, { mayRepeat: true })));
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/owner-killed-in-replay: a long replay is cut off by a crash, and its successor without an id misses nothing', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const survivor = rig.node();
      const owner = await rig.remote({ ...through, heartbeatMs: 100 });
      const clients = await rig.connected(3, [survivor]);
      await Promise.all(clients.map((client) => client.disconnect()));
      // Several pages, each of which takes a while.
      const backlog = 80;
      for (let i = 0; i < backlog; i += 10) {
        await Promise.all(Array.from({ length: 10 }, () => rig.publish(survivor, undefined, 'x'.repeat(60_000))));
      }
      proxy.delay(40);
      await Promise.all(clients.map((client) => client.connect(owner)));
      await waitFor(() => clients.every(({ labels }) => labels.length > backlog / 10));
      await owner.kill();
      for (const { labels } of clients) expect(labels.length).toBeLessThan(backlog);
      await Promise.all(clients.map((client) => client.connect(survivor, { mayRepeat: true })));
      const verdict = await rig.settled();
      expect(verdict).toMatchObject(CLEAN);
      // While a stream replays, its replay may come again, but nothing that an earlier stream has brought.
      const detached = Math.max(...clients.map((client) => client.connections[0]?.frames.length ?? 0));
      expect(detached).toBe(1);
      expect(clients.map(({ labels }) => labels.filter((label) => label === labels[0]).length)).toEqual([1, 1, 1]);
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/owner-killed-soon: one that dies right after it took over repeats nothing that its predecessor had delivered', async () => {
      await using rig = await makeRig();
      // Nobody beats within this test: what is written of their cursors is as old as can be.
      const slow = { heartbeatMs: 60_000, sessionTimeoutMs: 180_000 };
      const [first, last] = [rig.node(slow), rig.node(slow)];
      const owner = await rig.remote(slow);
      const clients = await rig.connected(4, [first]);
      for (let i = 0; i < 10; i += 1) await rig.publish(last, undefined);
      await waitFor(() => clients.every(({ labels }) => labels.length === 11));
      await Promise.all(clients.map((client) => client.connect(owner)));
      const label = await rig.publish(last, undefined);
      await waitFor(() => clients.every(({ labels }) => labels.includes(label)));
      await owner.kill();
      await Promise.all(clients.map((client) => client.connect(last, { mayRepeat: true })));
      await Promise.all(clients.map((client) => rig.reaches(client, first)));
      const verdict = await rig.settled();
      expect(verdict).toMatchObject(CLEAN);
      // What the dead process had delivered itself, in less than a heartbeat.
      expect(verdict.repeated).toHaveLength(clients.length);
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });
  });
}
