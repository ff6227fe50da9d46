import { expect } from 'vitest';
import { frame, HINTS, labels } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';
import { until } from './until.ts';

const MALFORMED_EVENT_IDS = ['0', '-1', 'x.y', '*', '../1', "';--", '\u{1f600}', '\u00e9.1', 'x'.repeat(5_000)];

/** Where a stream continues. */
export const streamResumeCases: StreamCases = {
  'streams/resume-same-node: a client that names its last event gets everything after it': async ({ a, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    await s.stream.cancel();
    await a.publish([s.session], frame('2'));
    await a.publish(undefined, frame('3'));
    await s.connect(a, { resume: true });
    await s.hasExactly(a, ['1', '2', '3']);
  },

  'streams/resume-other-node: the same on another node': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    await s.stream.cancel();
    await a.publish([s.session], frame('2'));
    await b.publish(undefined, frame('3'));
    await s.connect(b, { resume: true });
    await s.hasExactly(a, ['1', '2', '3']);
  },

  'streams/resume-while-held: a client may resume while its old stream still looks open': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    const first = s.stream;
    await s.connect(b, { resume: true });
    await a.publish([s.session], frame('2'));
    await s.connect(b, { resume: true });
    await a.publish([s.session], frame('3'));
    await s.hasExactly(b, ['1', '2', '3']);
    expect(first.labels).toEqual(['1']);
  },

  'streams/resume-swallowed: naming the last event brings back what a connection swallowed': async ({
    a,
    b,
    client,
  }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    s.stream.abandon();
    for (const label of labels(5, 2)) await b.publish([s.session], frame(label));
    await s.stream.cancel();
    await s.connect(b, { resume: true });
    await s.hasExactly(a, labels(6));
  },

  'streams/resume-again: from one event a client may resume as often as it likes': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    for (const label of labels(5)) await a.publish([s.session], frame(label));
    await s.receives('5');
    const lastEventId = s.stream.idOf('3');
    for (const manager of [b, a, b]) {
      const again = await s.connect(manager, { lastEventId });
      await s.receives('5', again);
      expect(again.labels).toEqual(['4', '5']);
    }
  },

  'streams/resume-after-moves: an event of the first stream is known after several moves': async ({
    a,
    b,
    open,
    client,
  }) => {
    const c = open();
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    const lastEventId = s.stream.idOf('1');
    for (const [index, manager] of [b, c, a, c].entries()) {
      await s.connect(manager);
      await b.publish([s.session], frame(`${index + 2}`));
    }
    await s.hasExactly(a, labels(5));
    const again = await s.connect(b, { lastEventId });
    await s.receives('5', again);
    expect(again.labels.slice(0, 4)).toEqual(labels(4, 2));
  },

  'streams/resume-without-id: without an id a session continues where it was detached': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    for (const [index, manager] of [b, a, a, b].entries()) {
      await s.stream.cancel();
      await a.publish([s.session], frame(`${index * 2 + 2}`));
      await b.publish(undefined, frame(`${index * 2 + 3}`));
      await s.connect(manager);
      await s.hasExactly(b, labels(index * 2 + 3));
    }
  },

  'streams/resume-empty-id: an empty header is no header': async ({ a, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    await s.stream.cancel();
    await a.publish([s.session], frame('2'));
    await s.connect(a, { lastEventId: '' });
    await s.hasExactly(a, ['1', '2']);
  },

  'streams/not-resumed: an id that cannot be followed leads to the head, with hints, and is said once': async ({
    a,
    b,
    open,
    client,
    takeReports,
  }) => {
    const elsewhere = open({ namespace: 'elsewhere' });
    const stranger = client();
    await stranger.connect(elsewhere);
    await elsewhere.publish([stranger.session], frame('1'));
    await stranger.receives('1');
    const foreign = stranger.stream.idOf('1');

    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    const tooNew = s.stream.idOf('1').replace(/.$/, 'zzz');
    for (const lastEventId of [foreign, tooNew, ...MALFORMED_EVENT_IDS]) {
      await s.stream.cancel();
      await a.publish([s.session], frame('missed'));
      const stream = await s.connect(b, { lastEventId });
      await b.publish([s.session], frame('next'));
      await s.receives('next');
      expect(stream.labels).toEqual([...HINTS, 'next']);
      expect(takeReports()).toEqual(['not-resumed']);
      await s.drain(a);
      expect(stream.state).toBe('open');
    }
    // The next one has a place to continue from again.
    await s.connect(a, { resume: true });
    await a.publish([s.session], frame('end'));
    await s.receives('end');
    expect(s.stream.labels.slice(-1)).toEqual(['end']);
    expect(takeReports()).toEqual([]);
  },

  'streams/not-resumed-unread: who has not read that it could not continue is told by its next stream, and loses nothing since':
    async ({ a, b, client, takeReports }) => {
      const s = client();
      const unread = await s.connect(a, { lastEventId: MALFORMED_EVENT_IDS[0], reading: false });
      await until(
        () => unread.unread > HINTS.length,
        () => `the first frame of the transport and ${HINTS.length} hints; ${unread.unread} chunks wait`,
      );
      await a.publish([s.session], frame('1'));
      await s.connect(b);
      await s.hasExactly(a, [...HINTS, '1']);
      expect(takeReports()).toEqual(['not-resumed', 'not-resumed']);
      // Once it has read them that is over.
      await s.connect(a);
      await s.hasExactly(b, [...HINTS, '1']);
      expect(takeReports()).toEqual([]);
    },

  'streams/not-resumed-unknown-session: an id from before a session is unknown leads to the head as well': async ({
    a,
    b,
    client,
    takeReports,
  }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    await a.delete(s.session);
    await s.stream.ends();
    await a.publish(undefined, frame('between'));
    const stream = await s.connect(b, { resume: true });
    await b.publish([s.session], frame('next'));
    await s.receives('next');
    expect(stream.labels).toEqual([...HINTS, 'next']);
    expect(takeReports()).toEqual(['not-resumed']);
  },

  'streams/floor-first-claim: nothing from before a session began is replayed, whatever id is named': async ({
    a,
    b,
    client,
  }) => {
    const [early, late] = [client(), client()];
    await early.connect(a);
    await a.publish(undefined, frame('1'));
    await early.receives('1');
    await a.publish(undefined, frame('2'));
    await a.publish([late.session], frame('secret'));
    await late.connect(a);
    await a.publish(undefined, frame('3'));
    await late.hasExactly(a, ['3']);
    const stream = await late.connect(b, { lastEventId: early.stream.idOf('1') });
    await b.publish([late.session], frame('4'));
    await late.receives('4');
    expect(stream.labels.filter((label) => /^\d$|secret/.test(label))).toEqual(['3', '4']);
  },

  'streams/floor-delete: nothing from before a DELETE is replayed': async ({ a, b, client, takeReports }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await a.publish([s.session], frame('2'));
    await s.receives('2');
    const lastEventId = s.stream.idOf('1');
    await b.delete(s.session);
    await s.stream.ends();
    await b.publish([s.session], frame('3'));
    await s.connect(a);
    await a.publish([s.session], frame('4'));
    await s.hasExactly(a, ['1', '2', '4']);
    const stream = await s.connect(b, { lastEventId });
    await b.publish([s.session], frame('5'));
    await s.receives('5');
    expect(stream.labels.filter((label) => /^\d$/.test(label))).toEqual(['4', '5']);
    takeReports();
  },

  'streams/foreign-event: the id of an event that another session got shows nothing of that session': async ({
    a,
    b,
    client,
  }) => {
    const [one, other] = [client('one'), client('one-more')];
    await one.connect(a);
    await other.connect(a);
    for (const label of labels(4)) {
      await a.publish([one.session], frame(`one ${label}`));
      await a.publish([other.session], frame(`other ${label}`));
    }
    await one.hasExactly(a, labels(4, 1, 'one '));
    await other.receives('other 4');
    const again = await one.connect(b, { lastEventId: other.stream.idOf('other 2') });
    await one.receives('one 4', again);
    expect(again.labels.filter((label) => label.startsWith('o'))).toEqual(['one 3', 'one 4']);
  },

  'streams/resume-crowd: many clients that come back at once each miss nothing': async ({ a, b, client }) => {
    const crowd = Array.from({ length: 60 }, () => client());
    await Promise.all(crowd.map((s) => s.connect(a)));
    await a.publish(undefined, frame('1'));
    await Promise.all(crowd.map((s) => s.receives('1')));
    const ids = crowd.map((s) => s.stream.idOf('1'));
    await Promise.all(crowd.map((s) => s.stream.cancel()));
    for (const [index, s] of crowd.entries()) await b.publish([s.session], frame(`own ${index}`));
    await b.publish(undefined, frame('2'));
    // Every other one names what it got last.
    await Promise.all(crowd.map((s, index) => s.connect(b, index % 2 ? { lastEventId: ids[index] } : {})));
    await Promise.all(crowd.map((s, index) => s.hasExactly(a, ['1', `own ${index}`, '2'])));
  },
};
