import { afterEach, describe, expect, it } from 'vitest';
import {
  BackplaneStreamSessionManager,
  DeliveryNode,
  deliveryRules,
  InProcessBackplane,
  type Liveness,
  readOptions,
  SessionError,
} from '../../src/index.ts';

/** Its first answers to `locate` are errors, or it sees a process whose connection is gone. */
class FailingBackplane extends InProcessBackplane {
  readonly errors: SessionError[] = [];
  /** How long ago the process that it suspects beat. */
  suspectBeatMsAgo: number | undefined;

  override async locate(session: string, heardWithinMs = 0): Promise<Liveness | undefined> {
    const error = this.errors.shift();
    if (error) throw error;
    if (this.suspectBeatMsAgo === undefined) return super.locate(session);
    return this.suspectBeatMsAgo < heardWithinMs ? 'attached' : 'suspect';
  }
}

const unavailable = (): SessionError => new SessionError('unavailable', 'the connection was lost');

describe('has()', () => {
  const backplane = new FailingBackplane();
  const settings = readOptions('test', { sendTimeoutMs: 300 }, deliveryRules);
  const streams = new BackplaneStreamSessionManager(new DeliveryNode(backplane, settings));

  afterEach(() => {
    backplane.errors.length = 0;
    backplane.suspectBeatMsAgo = undefined;
  });

  it('streams/has-asks-again: survives connections that are lost while it asks', async () => {
    backplane.errors.push(unavailable(), unavailable(), new SessionError('timeout', 'no answer'));
    expect(await streams.has('nobody')).toBe(false);
  });

  it('streams/has-refused: does not ask again when the backend refuses', async () => {
    backplane.errors.push(new SessionError('refused', 'no right'));
    await expect(streams.has('nobody')).rejects.toMatchObject({ code: 'refused' });
  });

  it('streams/has-deadline: says why when the backend stays away', async () => {
    backplane.errors.push(...Array.from({ length: 1_000 }, unavailable));
    await expect(streams.has('nobody')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('streams/has-beats: a process that goes on beating is alive, however often its connection is gone', async () => {
    backplane.suspectBeatMsAgo = 100;
    expect(await streams.has('somebody')).toBe(true);
  });

  it('streams/has-silent: a process whose connection is gone and that beats no more is dead', async () => {
    backplane.suspectBeatMsAgo = 1_000;
    expect(await streams.has('somebody')).toBe(false);
  });
});
