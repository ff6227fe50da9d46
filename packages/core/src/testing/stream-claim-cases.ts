import { expect } from 'vitest';
import { frame, frameOfSize, labels } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';
import { until } from './until.ts';

/** Who holds a session's stream, and who loses it. */
export const streamClaimCases: StreamCases = {
  'streams/has-cluster-wide: from its create on, a stream is known on every node': async ({ a, b, client }) => {
    const s = client();
    expect(await a.has(s.session)).toBe(false);
    await s.connect(a);
    expect(await a.has(s.session)).toBe(true);
    expect(await b.has(s.session)).toBe(true);
    expect(await b.has(`${s.session}0`)).toBe(false);
  },

  'streams/has-after-cancel: once a cancel was handled, no node knows the stream': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await s.stream.cancel();
    expect(await a.has(s.session)).toBe(false);
    expect(await b.has(s.session)).toBe(false);
  },

  'streams/takeover-newest-wins: a second stream on the same node ends the first': async ({ a, client }) => {
    const s = client();
    const first = await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.connect(a);
    await a.publish([s.session], frame('2'));
    await first.ends();
    await s.hasExactly(a, ['1', '2']);
    expect(s.stream.state).toBe('open');
    expect(await a.has(s.session)).toBe(true);
  },

  'streams/takeover-other-node: a second stream on another node ends the first': async ({ a, b, client }) => {
    const s = client();
    const first = await s.connect(a);
    await b.publish([s.session], frame('1'));
    await s.connect(b);
    await a.publish([s.session], frame('2'));
    await first.ends();
    await s.hasExactly(a, ['1', '2']);
    expect(s.stream.state).toBe('open');
    expect(await a.has(s.session)).toBe(true);
  },

  'streams/takeover-unread: what the first stream left unread comes on the second': async ({ a, b, client }) => {
    const s = client();
    const first = await s.connect(a);
    await b.publish([s.session], frame('1'));
    await s.receives('1');
    first.pause();
    for (const label of labels(5, 2)) await b.publish([s.session], frame(label));
    await s.connect(b);
    await s.hasExactly(b, labels(6));
    first.read();
    await first.ends();
    await s.hasExactly(b, labels(6));
  },

  'streams/takeover-in-flow: streams move between nodes while messages flow': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    const sent: Promise<void>[] = [];
    for (const [index, label] of labels(200).entries()) {
      sent.push(a.publish([s.session], frame(label)));
      if (index % 20 === 19) await s.connect(index % 40 === 19 ? b : a);
    }
    await Promise.all(sent);
    await s.hasExactly(b, labels(200));
    for (const stream of s.streams.slice(0, -1)) await stream.ends();
    expect(s.stream.state).toBe('open');
  },

  'streams/takeover-in-replay: a stream that is still catching up hands over what it has not read': async ({
    open,
    client,
  }) => {
    const [a, b] = [open({ maxStreamBufferBytes: 10_000 }), open({ maxStreamBufferBytes: 10_000 })];
    const s = client();
    await s.connect(a);
    await s.stream.cancel();
    await Promise.all(labels(100).map((label) => a.publish([s.session], frameOfSize(label, 1_000))));
    for (const manager of [b, b, a, b]) {
      const stream = await s.connect(manager, { reading: false });
      const before = s.labels.length;
      while (s.labels.length < before + 15) await stream.readChunk();
      void a.send([s.session], frame(`more ${before}`));
    }
    await s.connect(a);
    await s.drain(a);
    expect(s.labels.slice(0, 100)).toEqual(labels(100));
    expect(s.labels.slice(100)).toEqual(['more 0', 'more 15', 'more 30', 'more 45']);
  },

  'streams/takeover-back-and-forth: a claim ends its predecessor only, however fast they follow': async ({
    a,
    b,
    client,
  }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    for (const manager of [b, a, b, a, b, a]) s.open(manager);
    await Promise.all(s.streams.map((stream) => stream.created));
    await a.publish([s.session], frame('2'));
    await until(
      () => s.streams.filter((stream) => stream.state === 'open').length === 1,
      () => `one open stream; they are ${s.streams.map((stream) => stream.state).join(', ')}`,
    );
    await until(() => s.labels.length >= 2, '2 messages');
    expect(s.labels.toSorted()).toEqual(['1', '2']);
  },

  'streams/concurrent-creates: of two streams opened at once on two nodes, one stays': async ({ a, b, client }) => {
    for (let round = 1; round <= 10; round += 1) {
      const s = client();
      const both = [s.open(a), s.open(b)];
      await Promise.all(both.map((stream) => stream.created));
      await a.publish([s.session], frame('1'));
      await until(
        () => both.filter((stream) => stream.state === 'open').length === 1,
        () => `one open stream; they are ${both.map((stream) => stream.state).join(' and ')}`,
      );
      await b.publish([s.session], frame('2'));
      const winner = both.find((stream) => stream.state === 'open');
      await s.receives('2', winner);
      expect(s.labels.toSorted()).toEqual(['1', '2']);
      expect(await a.has(s.session)).toBe(true);
      expect(await b.has(s.session)).toBe(true);
    }
  },

  'streams/concurrent-creates-one-node: of many streams opened at once, the last stays': async ({ a, b, client }) => {
    const s = client();
    for (let i = 0; i < 10; i += 1) s.open(a);
    await Promise.all(s.streams.map((stream) => stream.created));
    await b.publish([s.session], frame('1'));
    await s.receives('1');
    for (const stream of s.streams.slice(0, -1)) await stream.ends();
    await s.hasExactly(b, ['1']);
  },

  'streams/cancel-during-create: a stream cancelled before it was registered leaves nothing': async ({
    a,
    b,
    client,
  }) => {
    for (let round = 0; round < 5; round += 1) {
      const s = client();
      const stream = s.open(a);
      await stream.cancel();
      await stream.created.catch(() => undefined);
      await until(async () => !(await b.has(s.session)), 'the end of a cancelled stream');
      await until(async () => !(await a.has(s.session)), 'the end of a cancelled stream');
      await s.connect(b);
      await a.publish([s.session], frame('1'));
      await s.hasExactly(a, ['1']);
    }
  },

  'streams/cancel-races-takeover: a cancel of the old stream does no harm to the new one': async ({ a, b, client }) => {
    for (let round = 0; round < 10; round += 1) {
      const s = client();
      const old = await s.connect(a);
      await a.publish([s.session], frame('1'));
      await s.receives('1');
      const next = s.open(round % 2 ? a : b);
      await Promise.all([old.cancel(), next.created]);
      await b.publish([s.session], frame('2'));
      await s.hasExactly(a, ['1', '2']);
      expect(await a.has(s.session)).toBe(true);
      expect(await b.has(s.session)).toBe(true);
    }
  },

  'streams/late-cancel: a client that leaves an ended stream late does no harm to the next one': async ({
    a,
    b,
    client,
  }) => {
    const s = client();
    const read = await s.connect(a);
    const unread = await s.connect(a, { reading: false });
    await a.publish([s.session], frame('1'));
    await s.connect(b);
    await s.receives('1');
    await read.cancel();
    await unread.cancel();
    await b.publish([s.session], frame('2'));
    await s.hasExactly(a, ['1', '2']);
    expect(await a.has(s.session)).toBe(true);
  },

  'streams/half-open: a client that vanished without a word is let in again': async ({ a, b, client }) => {
    const s = client();
    const first = await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    first.abandon();
    await a.publish([s.session], frame('2'));
    await s.connect(b);
    await s.hasExactly(a, ['1', '2']);
  },
};
