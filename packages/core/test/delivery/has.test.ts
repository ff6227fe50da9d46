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

/** Its first answers to `locate` are errors. */
class FailingBackplane extends InProcessBackplane {
  readonly errors: SessionError[] = [];

  override async locate(session: string): Promise<Liveness | undefined> {
    const error = this.errors.shift();
    if (error) throw error;
    return super.locate(session);
  }
}

const unavailable = (): SessionError => new SessionError('unavailable', 'the connection was lost');

describe('has()', () => {
  const backplane = new FailingBackplane();
  const settings = readOptions('test', { sendTimeoutMs: 300 }, deliveryRules);
  const streams = new BackplaneStreamSessionManager(new DeliveryNode(backplane, settings));

  afterEach(() => {
    backplane.errors.length = 0;
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
});
