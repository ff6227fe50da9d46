import { expect } from 'vitest';
import { HOSTILE_IDS } from './info-backend.ts';
import { frame, frameOfSize, labels } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';

const numbers = (received: readonly string[]): string[] => received.filter((label) => /^\d+$/.test(label));

/** What is read from the log for a stream that was away. */
export const streamReplayCases: StreamCases = {
  'streams/resume-in-batch: any message of a burst can be resumed from': async ({ a, b, client }) => {
    const [s, other] = [client(), client()];
    await s.connect(a);
    await other.connect(a);
    await Promise.all(
      labels(60).map((label) => a.publish(Number(label) % 5 ? [s.session] : [other.session, s.session], frame(label))),
    );
    await s.hasExactly(a, labels(60));
    const first = s.stream;
    for (const label of ['1', '17', '30', '59', '60']) {
      const again = await s.connect(Number(label) % 2 ? a : b, { lastEventId: first.idOf(label) });
      await a.publish([s.session], frame('next'));
      await s.receives('next', again);
      expect(numbers(again.labels)).toEqual(labels(60 - Number(label), Number(label) + 1));
    }
  },

  'streams/resume-from-large: a large message can be resumed from, and come as the first': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frameOfSize('1', 200_000));
    await a.publish([s.session], frame('2'));
    await a.publish([s.session], frameOfSize('3', 300_000));
    await a.publish([s.session], frame('4'));
    await s.hasExactly(a, labels(4));
    const first = s.stream;
    for (const label of ['1', '2', '3']) {
      const again = await s.connect(b, { lastEventId: first.idOf(label) });
      await s.receives('4', again);
      expect(numbers(again.labels)).toEqual(labels(4 - Number(label), Number(label) + 1));
    }
  },

  'streams/resume-long: however much was missed, all of it comes, in order': async ({ a, b, client }) => {
    const [s, other] = [client(), client()];
    await s.connect(a);
    await other.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    await s.stream.cancel();
    const sent = labels(2_000, 2).flatMap((label) => [
      a.publish(Number(label) % 50 ? [s.session] : undefined, frame(label)),
      a.publish([other.session], frame('other')),
    ]);
    await Promise.all(sent);
    const last = s.stream.idOf('1');
    await s.connect(b);
    await s.hasExactly(b, labels(2_001));
    const again = await s.connect(a, { lastEventId: last });
    await s.receives('2001', again);
    expect(numbers(again.labels)).toEqual(labels(2_000, 2));
  },

  'streams/resume-many: many clients at once continue on a process that began later': async ({ b, open, client }) => {
    const a = open();
    const clients = labels(200).map(() => client());
    await Promise.all(clients.map((each) => each.connect(a)));
    await a.publish(undefined, frame('1'));
    for (const each of clients) await each.receives('1');
    await a.close();
    await Promise.all([
      b.publish(undefined, frame('2')),
      ...clients.map((each) => b.publish([each.session], frame('3'))),
    ]);
    const later = open();
    await Promise.all(clients.map((each, index) => each.connect(later, { resume: index % 2 === 0 })));
    await b.publish(undefined, frame('4'));
    for (const each of clients) await each.receives('4');
    for (const each of clients) expect(each.labels).toEqual(labels(4));
  },

  'streams/resume-new-node: a process that began later finds in the log what it never saw': async ({
    a,
    open,
    client,
  }) => {
    const clients = HOSTILE_IDS.map((id) => client(id));
    await Promise.all(clients.map((each) => each.connect(a)));
    await a.publish(undefined, frame('1'));
    for (const each of clients) await each.receives('1');
    await Promise.all(clients.map((each) => each.stream.cancel()));
    // One part of the log each, so that it takes several pages.
    for (const id of HOSTILE_IDS) await a.publish([id], frame(`only ${id}`));
    await a.publish([...HOSTILE_IDS, 'another'], frame('2'));
    await a.publish(['another'], frame('secret'));
    for (const label of labels(150, 3)) await a.publish(undefined, frame(label));
    await a.publish([...HOSTILE_IDS], frameOfSize('153', 70_000));
    const later = open();
    await Promise.all(clients.map((each, index) => each.connect(later, { resume: index % 2 === 0 })));
    for (const each of clients) {
      await each.hasExactly(a, ['1', `only ${each.session}`, ...labels(152, 2)]);
    }
  },

  'streams/resume-nothing-missed: a client that missed nothing gets nothing again': async ({ a, b, open, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    for (const manager of [a, b, open(), a]) {
      await s.stream.cancel();
      await s.connect(manager, { resume: true });
      await s.hasExactly(b, ['1']);
      await s.connect(b);
      await s.hasExactly(b, ['1']);
    }
  },
};
