import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { FaultRig, MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { CLEAN } from '../oracle.ts';
import type { RemoteNode } from '../remote-node.ts';
import type { TestNode } from '../test-node.ts';

/** How long a process stays frozen, and what others may think of it. */
type Freeze = { readonly sessionTimeoutMs: number; readonly heartbeatMs: number; readonly frozenMs: number };

/** Freezes the owner of twelve sessions under load; four move with an id, four without one, four stay. */
async function freezeAndWake(rig: FaultRig, { frozenMs, ...options }: Freeze): Promise<void> {
  const node = rig.node(options);
  const owner = await rig.remote(options);
  const clients = await rig.connected(12, [owner]);
  const load = rig.load({ senders: 1, pauseMs: 10 });
  await sleep(600);
  const before = rig.ledger.now();
  const frozenAt = performance.now();
  owner.process.freeze();
  const [sample] = clients as [Client];
  await waitFor(async () => !(await node.has(sample.session)), {
    timeoutMs: options.sessionTimeoutMs + 20_000,
  });
  figure(`frozen, timeout ${options.sessionTimeoutMs}: has() is false after`, performance.now() - frozenAt);
  const moving = clients.filter((_, i) => i % 3 !== 0);
  await Promise.all(moving.map((client, i) => client.connect(node, i % 2 ? { resume: true } : { mayRepeat: true })));
  await waitFor(() => moving.every(({ connection }) => connection.frames.length > 0));
  await sleep(Math.max(0, frozenMs - (performance.now() - frozenAt)));
  owner.process.thaw();
  const thawedAt = performance.now();
  const staying = clients.filter((_, i) => i % 3 === 0);
  const label = await rig.publish(node, undefined);
  await waitFor(() => clients.every(({ labels }) => labels.includes(label)));
  figure('woken: streams that stayed are up to date after', performance.now() - thawedAt);
  await waitFor(() => moving.every(({ connections }) => connections[0]?.line.state !== 'open'));
  // Nothing went to a stream that had moved on; what was handed out before may have been on its way.
  const began = new Map(rig.ledger.messages.map((message) => [message.label, message.began]));
  const last = moving.map(({ connections }) => began.get(connections[0]?.line.frames.at(-1)?.label ?? '') ?? 0);
  expect(Math.max(...last)).toBeLessThan(before);
  await load.stop();
  expect(await rig.settled()).toMatchObject(CLEAN);
  for (const { line } of staying) expect(line.state).toBe('open');
  expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
}

/** Takes every session over while its owner is frozen, and wakes that before anybody counts it as dead. */
async function takeOverFrozen(owner: RemoteNode, node: TestNode, clients: readonly Client[]): Promise<void> {
  owner.process.freeze();
  await sleep(100);
  const opened = clients.map((client, i) => client.connect(node, { resume: i % 2 === 0 }));
  await Promise.all(opened);
  await sleep(800);
  // Whether the owner has delivered what came meanwhile is not known: those who name no event wait.
  expect(clients.filter((_, i) => i % 2 === 1).flatMap(({ connection }) => connection.frames)).toEqual([]);
  owner.process.thaw();
}

/** Processes that stand still and go on, as virtual machines do. */
export function ownerFrozenSuite(makeRig: MakeRig): void {
  describe.concurrent('a process that is frozen and wakes up', () => {
    it('faults/frozen-15-s: nothing to a stream that moved on, nothing twice, nothing lost', {
      timeout: 60_000,
    }, async () => {
      await using rig = await makeRig();
      await freezeAndWake(rig, { sessionTimeoutMs: 10_000, heartbeatMs: 3_000, frozenMs: 15_000 });
    });

    it('faults/frozen-short-timeout: the same with short times, two processes in turn', async () => {
      for (let round = 0; round < 2; round += 1) {
        await using rig = await makeRig();
        await freezeAndWake(rig, { sessionTimeoutMs: 1_500, heartbeatMs: 300, frozenMs: 2_000 + round * 300 });
      }
    });

    it('faults/frozen-woken-early: sessions taken over from it meanwhile go on where it stopped', async () => {
      await using rig = await makeRig();
      const node = rig.node();
      const owner = await rig.remote();
      const clients = await rig.connected(8, [owner]);
      const load = rig.load({ nodes: [node], pauseMs: 5 });
      for (let round = 0; round < 2; round += 1) {
        await sleep(200);
        await takeOverFrozen(owner, node, clients);
        const label = await rig.publish(node, undefined);
        await waitFor(() =>
          clients.every(({ connection }) => connection.frames.some((frame) => frame.label === label)),
        );
        // Who names no event reads the stream before to its end, and what that process tells of it comes later on a busy machine.
        await waitFor(() => clients.every(({ connections }) => connections.at(-2)?.line.state !== 'open'));
        await Promise.all(clients.map((client) => client.connect(owner, { resume: true })));
      }
      await load.stop();
      const verdict = await rig.settled();
      expect(verdict).toMatchObject({ ...CLEAN, repeated: [] });
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/evicted: a process that was cleaned away says so, ends its streams once, and goes on', async () => {
      await using rig = await makeRig();
      const options = { sessionTimeoutMs: 1_000, heartbeatMs: 200, resumeWindowMs: 1_000 };
      const node = rig.node(options);
      const owner = await rig.remote(options);
      const [kept] = await rig.connected(1, [node]);
      const lost = rig.client();
      await lost.connect(owner);
      await rig.reaches(lost, node);
      expect(await rig.knownNodes()).toHaveLength(2);
      owner.process.freeze();
      const frozenAt = performance.now();
      await waitFor(async () => (await rig.knownNodes()).length === 1);
      figure('frozen: cleaned away after (timeout and window 1 s each)', performance.now() - frozenAt);
      expect(await node.has(lost.session)).toBe(false);
      owner.process.thaw();
      await waitFor(() => lost.line.state !== 'open');
      await waitFor(() => owner.reports.includes('evicted'));
      expect(owner.reports.filter((code) => code === 'evicted')).toHaveLength(1);
      // Its next streams are live, what it publishes is accepted, and nobody calls it dead.
      await lost.connect(owner);
      await rig.reaches(lost, owner);
      if (kept) await rig.reaches(kept, owner);
      expect(await node.has(lost.session)).toBe(true);
      expect(lost.connections.map(({ line }) => line.state)).toEqual(['ended', 'open']);
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.reportsBeside(...rig.harmless, 'evicted')).toEqual(['not-resumed']);
    });
  });
}
