import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Batch, LOST } from '../../src/delivery/backplane.ts';
import type { OutgoingPayload } from '../../src/delivery/batch.ts';
import { Outbox, type OutboxHost } from '../../src/delivery/outbox.ts';
import { SessionError } from '../../src/errors.ts';

type Sent = Omit<Batch, 'node'>;

/** An outbox before a backend that stores everything, at once or when it is told to. */
function makeOutbox(host: Partial<OutboxHost> = {}): { outbox: Outbox; batches: Sent[] } {
  const batches: Sent[] = [];
  let last = 0;
  const outbox = new Outbox({
    sendTimeoutMs: 1_000,
    maxOutboxBytes: 1_000_000,
    partBytes: 8_000,
    batchBytes: 64_000,
    cursor: () => 0,
    ready: async () => undefined,
    epoch: () => 'epoch',
    append: async (batch) => {
      batches.push(batch);
      last += batch.parts.reduce((sum, { count }) => sum + count, 0);
      return { state: 'stored', last, claims: [], gap: false };
    },
    putLarge: async () => undefined,
    epochChanged: async () => undefined,
    gap: () => undefined,
    failure: () => undefined,
    ...host,
  });
  return { outbox, batches };
}

function payload(text: string, to: OutgoingPayload['to'] = 0, mergeable = false): OutgoingPayload {
  return { to, payload: text, payloadBytes: text.length, mergeable };
}

describe('the outbox', () => {
  it('outbox/merges-before-first-store: equal ones that wait for the first connection are sent once, later ones are not', async () => {
    let open: (() => void) | undefined;
    const ready = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { outbox, batches } = makeOutbox({ ready: () => ready });
    const first = [payload('changed', 0, true), payload('other', 0, true), payload('changed', 0, true)].map((each) =>
      outbox.send(each),
    );
    const alone = outbox.send(payload('changed'));
    open?.();
    expect(await Promise.all(first)).toMatchObject([{ position: 1 }, { position: 2 }, { position: 1 }]);
    expect(await alone).toMatchObject({ position: 3 });
    await Promise.all([outbox.send(payload('changed', 0, true)), outbox.send(payload('changed', 0, true))]);
    expect(batches.flatMap(({ parts }) => parts.map(({ data }) => data))).toEqual([
      'changedotherchanged',
      'changedchanged',
    ]);
    expect(outbox.backlogBytes).toBe(0);
  });

  it('outbox/receivers-count: ids of receivers count for the size of a batch and for what may wait', async () => {
    const many = Array.from({ length: 500 }, (_, n) => `a session with quite a long id ${n}`);
    const { outbox, batches } = makeOutbox();
    const stored = Array.from({ length: 50 }, () => outbox.send(payload('.', many)));
    expect(outbox.backlogBytes).toBeGreaterThan(50 * 500 * 30);
    const refused = Array.from({ length: 50 }, () => outbox.send(payload('.', many)).then(() => 'stored', String));
    expect((await Promise.all(refused)).some((text) => text.includes('maxOutboxBytes'))).toBe(true);
    await Promise.all(stored);
    for (const { parts } of batches) {
      expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(64_000);
    }
    expect(outbox.backlogBytes).toBe(0);
  });

  it('outbox/refused-alone: a message that the backend refuses for good takes nothing else with it', async () => {
    let last = 0;
    const { outbox } = makeOutbox({
      append: async ({ parts }) => {
        if (parts.some(({ data }) => data.includes('bad'))) throw new SessionError('invalid-message', 'no such text');
        last += parts.reduce((sum, { count }) => sum + count, 0);
        return { state: 'stored', last, claims: [], gap: false };
      },
    });
    const outcomes = await Promise.allSettled([
      outbox.send(payload('one')),
      outbox.send(payload('bad')),
      outbox.control({ k: 'r', s: 's', c: 'c', d: 1, p: 1 }),
      outbox.send(payload('two')),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    await outbox.flushed();
  });

  it('outbox/epochs-paced: a log that begins anew at every look is not asked again without a pause', async () => {
    let looks = 0;
    let outbox: Outbox | undefined;
    const made = makeOutbox({
      append: async () => {
        looks += 1;
        return { state: 'epoch' };
      },
      epochChanged: async () => outbox?.renewProducer(),
    });
    outbox = made.outbox;
    await expect(outbox.send(payload('x'))).rejects.toMatchObject({ code: 'timeout' });
    // Doubling pauses: a second has room for few.
    expect(looks).toBeGreaterThan(2);
    expect(looks).toBeLessThan(20);
    outbox.close(new SessionError('closed', 'closed'));
  });

  it('outbox/epoch-while-large: what is stored beside a log that begins anew meanwhile goes into the new one, large payload and all', async () => {
    let epoch = 'first';
    const large: string[] = [];
    const sent: Sent[] = [];
    const { outbox } = makeOutbox({
      epoch: () => epoch,
      putLarge: async () => {
        large.push(epoch);
        if (large.length > 1) return;
        epoch = 'second';
        outbox.renewProducer();
      },
      append: async (batch) => {
        sent.push(batch);
        return { state: 'stored', last: 1, claims: [], gap: false };
      },
    });
    outbox.renewProducer();
    await outbox.send(payload('x'.repeat(100_000)));
    expect(large).toEqual(['first', 'second']);
    expect(sent).toMatchObject([{ epoch: 'second', number: 1, acknowledged: 0 }]);
    // A later one goes on under the same name.
    await outbox.send(payload('y'));
    expect(sent[1]).toMatchObject({ producer: sent[0]?.producer, number: 2, acknowledged: 1 });
  });

  it('outbox/release-of-before: a place in a log that has ended is said to be lost in the one that follows', async () => {
    let epoch = 'first';
    const sent: Sent[] = [];
    const { outbox } = makeOutbox({
      epoch: () => epoch,
      append: async (batch) => {
        sent.push(batch);
        return batch.epoch === 'second' ? { state: 'stored', last: 1, claims: [], gap: false } : { state: 'epoch' };
      },
      epochChanged: async () => {
        epoch = 'second';
        outbox.renewProducer();
      },
    });
    await outbox.control({ k: 'r', s: 's', c: 'c', d: 7, p: 6 });
    await outbox.control({ k: 'r', s: 's', c: 'd', d: 9, p: 8 });
    expect(sent.map(({ epoch: of, controls }) => [of, ...controls])).toMatchObject([
      ['first', { detach: 7, sent: 6 }],
      ['second', { detach: LOST, sent: LOST }],
      ['second', { detach: 9, sent: 8 }],
    ]);
    expect(sent[1]?.parts[0]?.head).toContain(`"d":${LOST},"p":${LOST}`);
  });

  it('outbox/closed-in-flight: what is refused at close counts no more, whatever becomes of it', async () => {
    let answer: ((answer: { state: 'stored'; last: number; claims: []; gap: false }) => void) | undefined;
    const { outbox } = makeOutbox({
      append: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    const sent = outbox.send(payload('late')).catch((error: SessionError) => error.code);
    await nextTurn();
    outbox.close(new SessionError('closed', 'closed'));
    expect(await sent).toBe('closed');
    answer?.({ state: 'stored', last: 1, claims: [], gap: false });
    await outbox.flushed();
    expect(outbox.backlogBytes).toBe(0);
  });
});
