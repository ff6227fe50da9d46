import type { StreamEnd } from './local-stream.ts';
import type { DeliveryNode } from './node.ts';

/** Gives claims back, and knows which of that is still on its way: a `create` that follows has to find it stored. */
export class Releases {
  readonly #node: DeliveryNode;
  /** By session: resolves when its releases are stored. */
  readonly #pending = new Map<string, Promise<unknown>>();

  constructor(node: DeliveryNode) {
    this.#node = node;
  }

  /** Resolves when the release is stored, or cannot be. Never rejects. */
  store(session: string, claim: string, { detach, sent }: StreamEnd): Promise<void> {
    const released = this.#node.control({ k: 'r', s: session, c: claim, d: detach, p: sent }).then(
      () => undefined,
      (error) => this.#node.report(error),
    );
    const all = Promise.all([this.#pending.get(session), released]).then(() => {
      if (this.#pending.get(session) === all) this.#pending.delete(session);
    });
    this.#pending.set(session, all);
    return all;
  }

  /** Resolves when every release of the session that is on its way is stored, or cannot be. */
  async stored(session: string): Promise<void> {
    await this.#pending.get(session);
  }
}
