import { setTimeout as sleep } from 'node:timers/promises';
import type { TcpProxy } from '../tcp-proxy/tcp-proxy.ts';
import type { Client } from './client.ts';
import { type Random, seeded } from './random.ts';
import type { TestNode } from './test-node.ts';

/** Something that goes on by chance until it is stopped. */
export class Storm implements AsyncDisposable {
  #stopped = false;
  readonly #loops: Promise<void>[] = [];

  /** Does something again and again, pausing up to twice `pauseMs` in between. */
  repeat(seed: number, pauseMs: number, act: (random: Random) => Promise<void>): void {
    const random = seeded(seed);
    const loop = async (): Promise<void> => {
      while (!this.#stopped) {
        await sleep(random.next() * 2 * pauseMs);
        if (!this.#stopped) await act(random);
      }
    };
    const running = loop();
    // It rejects in `stop` as well.
    running.catch(() => undefined);
    this.#loops.push(running);
  }

  /** Resolves when every loop has come to its end; rejects when one of them failed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop().catch(() => undefined);
  }
}

export type Move = 'torn' | 'resumed' | 'unnamed' | 'returned';

/**
 * One move of a client to a node that is up: half with the tail of its stream torn off, some with everything read, some without
 * naming an event, some after closing their stream. Tries again elsewhere until it is in.
 */
export async function move(client: Client, nodes: readonly TestNode[], random: Random): Promise<Move> {
  const kind = random.pick<Move>(['torn', 'torn', 'resumed', 'unnamed', 'returned']);
  // Who has not read anything yet has no event to name.
  const resume = kind !== 'unnamed' && client.lastEventId !== undefined;
  if (kind === 'torn' && resume) client.tear(random.below(4));
  if (kind === 'returned' && resume) await client.disconnect();
  await client.connect(random.pick(nodes), { resume });
  return kind;
}

/** The next append through this proxy is stored, its answer lost, and its connection reset. */
export function swallowAppend(proxy: TcpProxy): Promise<boolean> {
  return proxy
    .swallowAnswerAfter((chunk) => chunk.includes('"label":"'))
    .then(
      () => true,
      () => false, // the connection was lost before there was an answer
    );
}
