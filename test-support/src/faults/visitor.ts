import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.ts';
import type { Random } from './random.ts';
import type { TestNode } from './test-node.ts';

/** How often it looks whether its stream is still open. */
const LOOK_MS = 150;

export type Visit = {
  readonly nodes: readonly TestNode[];
  readonly random: Random;
  /** Mean time between two moves. */
  readonly moveMs: number;
  isOver(): boolean;
  /** A client of another session. */
  another(): Client;
  now(): number;
};

/**
 * One visitor after the other: comes back by its last event whenever its stream has ended, and moves elsewhere now and then,
 * sometimes with the tail of its stream torn off, after closing it, or after not reading for a while. Some end their session,
 * and another one comes.
 *
 * @returns the client that is there in the end, with a stream
 */
export async function visit(first: Client, visit: Visit): Promise<Client> {
  const { random, moveMs, isOver } = visit;
  let client = first;
  while (!isOver()) {
    const until = performance.now() + random.next() * 2 * moveMs;
    while (!isOver() && client.line.state === 'open' && performance.now() < until) await sleep(LOOK_MS);
    if (isOver()) break;
    const kind = random.pick(['torn', 'closed', 'paused', 'plain', 'torn', 'closed', 'paused', 'ended']);
    // Who has got nothing yet can name no event: what was on its way to it may be lost.
    if (kind === 'ended' || client.lastEventId === undefined) {
      client.retired = visit.now();
      await random
        .pick(visit.nodes)
        .delete(client.session)
        .catch(() => undefined);
      client.moveOn();
      client = visit.another();
    }
    if (kind === 'torn') client.tear(random.below(4));
    if (kind === 'closed' && client.connections.length > 0) await client.disconnect();
    if (kind === 'paused' && client.connections.length > 0) {
      client.line.pause();
      await sleep(random.below(500));
    }
    await comeBack(client, visit);
  }
  if (client.line.state !== 'open' || client.connection.left) await comeBack(client, visit);
  return client;
}

/** Tries until it has a stream. */
async function comeBack(client: Client, { nodes, random }: Visit): Promise<void> {
  for (;;) {
    try {
      await client.connect(random.pick(nodes), { resume: true });
      return;
    } catch {
      await sleep(50 + random.below(100));
    }
  }
}
