import type { Backplane } from '../delivery/backplane.ts';
import { randomId } from '../delivery/text.ts';

/**
 * Starts a new epoch in the log of a backplane, as a node does that finds entries missing: what every node does then
 * is what it does after a store was wiped, restored or failed over. Closes the backplane, which has no node of its own.
 */
export async function renewEpoch(backplane: Backplane): Promise<void> {
  const node = randomId();
  const nothing = (): void => undefined;
  await backplane.open(node, {
    parts: nothing,
    wake: nothing,
    connected: nothing,
    disconnected: nothing,
    report: nothing,
  });
  const { epoch } = await backplane.beat({ node, cursor: undefined, check: undefined });
  await backplane.renewEpoch(epoch);
  await backplane.leave(node);
  await backplane.close();
}
