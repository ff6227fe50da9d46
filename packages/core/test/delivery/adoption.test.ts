import {
  type AppendAnswer,
  BackplaneStreamSessionManager,
  type Batch,
  type Beat,
  type BeatAnswer,
  DeliveryNode,
  deliveryRules,
  InProcessBackplane,
  InProcessHub,
  readOptions,
  type SessionError,
} from '@tmcp/session-manager';
import { deferred } from 'test-support';
import { expect, it } from 'vitest';
import { frame, frameOfSize } from '../../src/testing/messages.ts';

/** Answers come in one turn, as they do when they travel in one packet. */
class OneTurn extends InProcessBackplane {
  readonly batches: Batch[] = [];
  readonly large = deferred();
  readonly registered = deferred();
  registrations = 0;

  override async putLarge(id: string, payload: string): Promise<void> {
    await super.putLarge(id, payload);
    await this.large.promise;
  }

  override async beat(beat: Beat): Promise<BeatAnswer> {
    const answer = await super.beat(beat);
    if (beat.cursor === undefined && ++this.registrations > 1) await this.registered.promise;
    return answer;
  }

  override append(batch: Batch): Promise<AppendAnswer> {
    this.batches.push(batch);
    return super.append(batch);
  }
}

it('node/adopted-at-once: nothing goes into a new epoch under the name that the batches of the old one had', async () => {
  const hub = new InProcessHub();
  const backplane = new OneTurn({ hub });
  const reports: string[] = [];
  const settings = readOptions(
    'a test',
    { heartbeatMs: 20, onError: ({ code }: SessionError) => reports.push(code) },
    deliveryRules,
  );
  const streams = new BackplaneStreamSessionManager(new DeliveryNode(backplane, settings));
  await streams.publish(['s'], frame('1'));
  const large = streams.publish(['s'], frameOfSize('2', 100_000));
  const old = hub.namespace('default').log.epoch;
  await new InProcessBackplane({ hub }).renewEpoch(old);
  await expect.poll(() => backplane.registrations).toBe(2);
  backplane.large.resolve();
  backplane.registered.resolve();
  await large;
  const [first, second] = backplane.batches;
  expect(first?.epoch).toBe(old);
  expect(second?.epoch).not.toBe(old);
  expect(second?.producer).not.toBe(first?.producer);
  expect(reports).toEqual(['discontinuity']);
  await streams.close();
});
