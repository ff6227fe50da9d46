import type { Ledger } from './ledger.ts';
import { writeMessage } from './message.ts';
import { type Random, seeded } from './random.ts';
import type { TestNode } from './test-node.ts';

export type LoadOptions = {
  readonly ledger: Ledger;
  readonly nodes: readonly TestNode[];
  readonly sessions: readonly string[];
  /** Senders on each node, each with one message on its way. @default 2 */
  readonly senders?: number;
  /** Pause of a sender after each message. @default 3 */
  readonly pauseMs?: number;
  readonly seed?: number;
};

/** Messages that are sent without an end: to one session, sometimes several, sometimes everyone, sometimes large ones. */
export class Load implements AsyncDisposable {
  readonly #options: LoadOptions;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { nodes, senders = 2, seed = 1 } = options;
    const loops = nodes.flatMap((node, i) =>
      Array.from({ length: senders }, (_, j) => this.#send(node, seeded(seed + i * 100 + j))),
    );
    this.#running = Promise.all(loops).then(() => undefined);
  }

  /** Resolves when every message that was begun is accepted or refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #send(node: TestNode, random: Random): Promise<void> {
    const { ledger, sessions, pauseMs = 3 } = this.#options;
    const sender = ledger.sender();
    while (!this.#stopped) {
      const chance = random.next();
      const to = chance < 0.03 ? undefined : random.sample(sessions, chance < 0.1 ? 3 : 1);
      const filler = fillerOf(random);
      await sender.send(to, (label) => node.publish(to, writeMessage(label, filler)));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** Most messages are small; 1 % do not fit into a notification, 0.2 % are stored beside the log. */
function fillerOf(random: Random): string {
  const chance = random.next();
  if (chance < 0.002) return 'L'.repeat(66_000 + random.below(20_000));
  if (chance < 0.012) return 'm'.repeat(7_500 + random.below(1_000));
  return 's'.repeat(random.below(200));
}
