import { afterAll, expect, it } from 'vitest';
import {
  type BackplaneListener,
  BackplaneStreamSessionManager,
  type Beat,
  type BeatAnswer,
  DeliveryNode,
  deliveryRules,
  InProcessBackplane,
  readOptions,
} from '../../src/index.ts';

/** Counts beats, and can lose the connection that listens. */
class WatchedBackplane extends InProcessBackplane {
  beats = 0;
  listener: BackplaneListener | undefined;

  override async open(node: string, listener: BackplaneListener): Promise<void> {
    this.listener = listener;
    await super.open(node, listener);
  }

  override async beat(beat: Beat): Promise<BeatAnswer> {
    this.beats += 1;
    return super.beat(beat);
  }
}

const backplane = new WatchedBackplane();
// No heartbeat comes by itself while this test runs.
const settings = readOptions(
  'test',
  { heartbeatMs: 60_000, sessionTimeoutMs: 600_000, onError: () => undefined },
  deliveryRules,
);
const streams = new BackplaneStreamSessionManager(new DeliveryNode(backplane, settings));

afterAll(() => streams.close());

it('node/disconnected-beats: shows at once that it lives when the connection that listens is lost', async () => {
  await streams.has('nobody');
  const before = backplane.beats;
  backplane.listener?.disconnected(new Error('lost'));
  await expect.poll(() => backplane.beats).toBe(before + 1);
});
