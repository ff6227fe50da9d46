import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import {
  BackplaneStreamSessionManager,
  DeliveryNode,
  deliveryRules,
  InProcessBackplane,
  readOptions,
  SessionError,
} from '../../src/index.ts';

class AwayBackplane extends InProcessBackplane {
  override async open(): Promise<void> {
    throw new SessionError('unavailable', 'away');
  }
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

it('node/away-from-the-start: calls that gave up waiting for a backend leave nothing behind', async () => {
  const settings = readOptions('test', { sendTimeoutMs: 20, onError: () => undefined }, deliveryRules);
  const streams = new BackplaneStreamSessionManager(new DeliveryNode(new AwayBackplane(), settings));
  const calls = (): Promise<unknown> => Promise.allSettled(Array.from({ length: 5_000 }, () => streams.has('session')));
  await calls();
  const before = heapBytes();
  for (let round = 0; round < 5; round += 1) await calls();
  await expect.poll(() => heapBytes() - before, { timeout: 3_000 }).toBeLessThan(4_000_000);
  await streams.close();
});
