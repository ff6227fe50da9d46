import { expect } from 'vitest';
import { frame, HINTS, labels } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';
import { until } from './until.ts';

const BEATING = { heartbeatMs: 100 };

/** Where continuity cannot be proven, it is said: never silence, never an endless loop. */
export const streamDiscontinuityCases: StreamCases = {
  'streams/discontinuity: streams end once and it is reported, their successors go live with hints': async ({
    open,
    client,
    breakContinuity,
    takeReports,
  }) => {
    const [a, b] = [open(BEATING), open(BEATING)];
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(b);
    await a.publish(undefined, frame('1'));
    await one.receives('1');
    await other.receives('1');
    await breakContinuity();
    await one.stream.ends();
    await other.stream.ends();
    expect(takeReports()).toEqual(['discontinuity', 'discontinuity']);
    expect([a, b].map((manager) => manager.stats().discontinuities)).toEqual([1, 1]);

    await one.connect(b, { resume: true });
    await other.connect(b, { resume: true });
    await a.publish(undefined, frame('2'));
    for (const each of [one, other]) {
      await each.hasExactly(a, ['1', ...HINTS, '2']);
      expect(each.stream.state).toBe('open');
    }
    expect(takeReports()).toEqual(['not-resumed', 'not-resumed']);

    // From here on all is as before.
    await one.connect(a, { resume: true });
    await other.stream.cancel();
    await b.publish(undefined, frame('3'));
    await other.connect(a);
    for (const each of [one, other]) await each.hasExactly(b, ['1', ...HINTS, '2', '3']);
  },

  'streams/discontinuity-without-id: a client that names no event is told as well, on any node': async ({
    open,
    client,
    breakContinuity,
    takeReports,
  }) => {
    const [a, b] = [open(BEATING), open(BEATING)];
    const [held, released, deleted] = [client(), client(), client()];
    for (const each of [held, released, deleted]) await each.connect(a);
    await released.stream.cancel();
    await a.delete(deleted.session);
    await deleted.stream.ends();
    await breakContinuity();
    await held.stream.ends();
    for (const each of [held, released, deleted]) await each.connect(b);
    await a.publish(undefined, frame('1'));
    for (const each of [held, released]) await each.hasExactly(a, [...HINTS, '1']);
    await deleted.hasExactly(a, ['1']);
    takeReports();
  },

  'streams/discontinuity-in-flow: what is sent meanwhile is refused, or comes at most once and in order': async ({
    open,
    client,
    breakContinuity,
    takeReports,
  }) => {
    const [a, b] = [open(BEATING), open(BEATING)];
    const s = client();
    await s.connect(a);
    await b.publish([s.session], frame('0'));
    await s.receives('0');
    const outcomes: Promise<string | undefined>[] = [];
    const send = (label: string): void => {
      outcomes.push(
        b.publish([s.session], frame(label)).then(
          () => label,
          (error: { code: string }) => {
            expect(error.code).toBe('discontinuity');
            return undefined;
          },
        ),
      );
    };
    for (const label of labels(50)) send(label);
    const broken = breakContinuity();
    for (const label of labels(50, 51)) send(label);
    await broken;
    await s.stream.ends();
    for (const label of labels(50, 101)) send(label);
    await until(async () => (await b.health()).ok, 'the node to go on');
    await Promise.all(outcomes);
    await s.connect(b, { resume: true });
    for (const label of labels(50, 151)) send(label);
    const accepted = (await Promise.all(outcomes)).filter((label) => label !== undefined);
    await s.drain(b);
    const received = s.labels.filter((label) => /^[1-9]\d*$/.test(label));
    expect(received).toEqual(accepted.filter((label) => received.includes(label)));
    expect(received.slice(-50)).toEqual(labels(50, 151));
    expect(new Set(takeReports())).toEqual(new Set(['discontinuity', 'not-resumed']));
  },
};
