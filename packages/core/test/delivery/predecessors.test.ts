import { deferred } from 'test-support';
import { expect, it } from 'vitest';
import type { Liveness } from '../../src/delivery/backplane.ts';
import { Predecessors } from '../../src/delivery/predecessors.ts';

/** Watches one node whose connection is never there. @returns how it was judged: the cursor, or that it lives */
async function judge(beatsEveryMs: number): Promise<number | 'alive'> {
  const started = performance.now();
  const { promise, resolve } = deferred<number | 'alive'>();
  const inspect = async (_: string, heardWithinMs = 0): Promise<{ liveness: Liveness; cursor: number }> => {
    const sinceStart = performance.now() - started;
    if (sinceStart > 1_000) resolve('alive');
    return { liveness: sinceStart % beatsEveryMs < heardWithinMs ? 'attached' : 'suspect', cursor: 7 };
  };
  const died = async (_: unknown, cursor: number | undefined): Promise<void> => resolve(cursor ?? -1);
  const predecessors = new Predecessors<string>(inspect, died, resolve as () => void, 60_000);
  predecessors.add('node', 'stream');
  const judged = await promise;
  predecessors.stop();
  return judged;
}

it('predecessors/silent: a node without connection that does not beat between two looks is dead', async () => {
  expect(await judge(Number.POSITIVE_INFINITY)).toBe(7);
});

it('predecessors/beating: a node that beats is awaited, however often its connection is gone', async () => {
  expect(await judge(150)).toBe('alive');
});
