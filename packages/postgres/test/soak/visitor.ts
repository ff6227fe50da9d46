import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../faults/support/client.ts';
import type { Random } from '../faults/support/random.ts';
import type { TestNode } from '../faults/support/test-node.ts';

/** How often it looks whether its stream is still open. */
const LOOK_MS = 150;

/**
 * One life of a client: comes back by its last event whenever its stream has ended, and moves elsewhere now and then, sometimes
 * with the tail of its stream torn off, sometimes after closing it, sometimes after not reading for a while.
 *
 * @param moveMs mean time between two moves
 */
export async function visit(
  client: Client,
  nodes: readonly TestNode[],
  random: Random,
  moveMs: number,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const until = performance.now() + random.next() * 2 * moveMs;
    while (!isOver() && client.line.state === 'open' && performance.now() < until) await sleep(LOOK_MS);
    if (isOver()) break;
    const kind = random.pick(['torn', 'closed', 'paused', 'plain']);
    if (kind === 'torn') client.tear(random.below(4));
    if (kind === 'closed') await client.disconnect();
    if (kind === 'paused') {
      client.line.pause();
      await sleep(random.below(500));
    }
    await comeBack(client, nodes, random);
  }
  await comeBack(client, nodes, random, true);
}

/** Tries until it has a stream. */
async function comeBack(
  client: Client,
  nodes: readonly TestNode[],
  random: Random,
  onlyIfEnded = false,
): Promise<void> {
  if (onlyIfEnded && client.line.state === 'open' && !client.connection.left) return;
  for (;;) {
    try {
      await client.connect(random.pick(nodes), { resume: true });
      return;
    } catch {
      await sleep(50 + random.below(100));
    }
  }
}
