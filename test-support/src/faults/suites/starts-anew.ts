import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import { figure } from '../figures.ts';
import { CLEAN } from '../oracle.ts';
import type { Rig } from '../rig.ts';
import type { StreamManager } from '../stream-manager.ts';
import type { TestNode } from '../test-node.ts';

const HEARTBEAT_MS = 200;

type AnyRig = Rig<{ heartbeatMs?: number | undefined }, StreamManager> & { again(): AnyRig };

/** Two nodes with eight clients. */
export type System<R extends AnyRig> = { readonly rig: R; readonly nodes: readonly [TestNode, TestNode] };

export async function startTwo<R extends AnyRig>(rig: R): Promise<System<R>> {
  const options = { heartbeatMs: HEARTBEAT_MS };
  const nodes = [rig.node(options), rig.node(options)] as const;
  await rig.connected(8);
  return { rig, nodes };
}

/**
 * What must follow when the log is not the one that was known: every node says so once, every stream ends once, and the next
 * stream of each session is live and stays so, whatever event its client names.
 *
 * @param mostFindings a process may find out in two ways one after the other
 */
export async function startsAnew<R extends AnyRig>(
  { rig, nodes }: System<R>,
  since: number,
  mostFindings = 1,
): Promise<void> {
  const { clients } = rig;
  await waitFor(() => clients.every(({ line }) => line.state !== 'open'), { timeoutMs: 20_000 });
  figure('log lost: all streams ended after', performance.now() - since);
  for (const { reports } of nodes) await waitFor(() => reports.includes('discontinuity'));
  const after = rig.again();
  await Promise.all(
    clients.map(async (old, i) => {
      const client = after.client(old.session);
      await client.connect(nodes[i % 3 ? 0 : 1], { lastEventId: i % 2 ? old.lastEventId : undefined });
    }),
  );
  await using load = after.load({ nodes });
  await sleep(HEARTBEAT_MS * 4);
  await load.stop();
  expect(await after.settled()).toMatchObject(CLEAN);
  for (const { line, hints } of after.clients) {
    expect({ state: line.state, hints }).toEqual({ state: 'open', hints: 3 });
  }
  for (const node of nodes) {
    const { state, discontinuities } = await node.stats();
    expect(state).toBe('open');
    expect(discontinuities).toBeGreaterThanOrEqual(1);
    expect(discontinuities).toBeLessThanOrEqual(mostFindings);
  }
  expect(nodes.flatMap(({ reports }) => reports).filter((code) => code === 'not-resumed')).toHaveLength(clients.length);
}
