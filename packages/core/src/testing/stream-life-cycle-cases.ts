import { expect } from 'vitest';
import { frame, frameOfSize, labels } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';
import { TestStream } from './test-stream.ts';
import { until } from './until.ts';

/** Stopping, and never harming the host. */
export const streamLifeCycleCases: StreamCases = {
  'streams/close-ends-streams: closing a manager ends its streams and gives their sessions back': async ({
    a,
    b,
    client,
  }) => {
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(b);
    await a.publish([one.session], frame('1'));
    await one.receives('1');
    await a.close();
    await one.stream.ends();
    expect(one.stream.state).toBe('ended');
    expect(one.labels).toEqual(['1']);
    expect(await b.has(one.session)).toBe(false);
    expect(await b.has(other.session)).toBe(true);
    await b.publish(undefined, frame('2'));
    await one.connect(b);
    await one.hasExactly(b, ['1', '2']);
    await other.hasExactly(b, ['2']);
  },

  'streams/close-in-flow: the next node continues without a loss or a repeat, unread messages included': async ({
    b,
    open,
    client,
  }) => {
    const a = open();
    const [reading, unread] = [client(), client()];
    await reading.connect(a);
    await unread.connect(a);
    await b.publish(undefined, frame('1'));
    await unread.receives('1');
    unread.stream.pause();
    const sent = labels(100, 2).map((label) => b.publish(undefined, frame(label)));
    await Promise.all(sent.slice(0, 20));
    const closed = a.close();
    sent.push(...labels(20, 102).map((label) => b.publish(undefined, frame(label))));
    await closed;
    await reading.connect(b);
    await unread.connect(b);
    await Promise.all(sent);
    await reading.hasExactly(b, labels(121));
    await unread.hasExactly(b, labels(121));
  },

  'streams/close-in-replay: a stream that is still catching up is handed on where it stands': async ({
    b,
    open,
    client,
  }) => {
    const a = open({ maxStreamBufferBytes: 10_000 });
    const s = client();
    await s.connect(a);
    await s.stream.cancel();
    await Promise.all(labels(100).map((label) => b.publish([s.session], frameOfSize(label, 1_000))));
    const stream = await s.connect(a, { reading: false });
    while (s.labels.length < 20) await stream.readChunk();
    await a.close();
    await s.connect(b);
    await s.hasExactly(b, labels(100));
  },

  'streams/close-races-takeover: a node that closes and one that takes over agree where': async ({
    b,
    open,
    client,
  }) => {
    for (let round = 0; round < 5; round += 1) {
      const a = open();
      const clients = labels(5).map(() => client());
      await Promise.all(clients.map((each) => each.connect(a)));
      const sent = labels(20).map((label) => b.publish(undefined, frame(label)));
      const closed = a.close();
      sent.push(...labels(20, 21).map((label) => b.publish(undefined, frame(label))));
      await Promise.all(clients.map((each) => each.connect(b)));
      await Promise.all([...sent, closed]);
      for (const each of clients) {
        await each.hasExactly(b, labels(40));
        await each.stream.cancel();
      }
    }
  },

  'streams/close-flushes: what was sent before the close arrives': async ({ b, open, client }) => {
    const a = open();
    const s = client();
    await s.connect(b);
    for (const label of labels(300)) void a.send(label.endsWith('0') ? undefined : [s.session], frame(label));
    await a.close();
    await s.hasExactly(b, labels(300));
  },

  'streams/close-idempotent: closing again, at once or later, does nothing more': async ({ open, client }) => {
    const [a, unused] = [open(), open()];
    const s = client();
    await s.connect(a);
    await Promise.all([a.close(), a.close(), a[Symbol.asyncDispose]()]);
    await a.close();
    await unused[Symbol.asyncDispose]();
    await s.stream.ends();
  },

  'streams/close-during-creates: a close leaves no session behind whose create was on its way': async ({
    b,
    open,
    client,
  }) => {
    const a = open();
    const clients = Array.from({ length: 20 }, () => client());
    for (const each of clients) each.open(a);
    await a.close();
    for (const each of clients) {
      const outcome = await each.stream.created.then(
        () => 'created',
        (error: { code?: string }) => error.code,
      );
      expect(['created', 'closed']).toContain(outcome);
      if (outcome === 'created') await each.stream.ends();
      expect(await b.has(each.session)).toBe(false);
      await each.connect(b);
    }
    await b.publish(undefined, frame('1'));
    for (const each of clients) await each.hasExactly(b, ['1']);
  },

  'streams/closed: a closed manager refuses, and still harms nobody': async ({ open, takeReports }) => {
    for (const used of [false, true]) {
      const a = open();
      if (used) await a.publish(['s'], frame('1'));
      await a.close();
      const closed = { code: 'closed' };
      await expect(new TestStream(a, 's').created).rejects.toMatchObject(closed);
      await expect(a.has('s')).rejects.toMatchObject(closed);
      await expect(a.publish(['s'], frame('1'))).rejects.toMatchObject(closed);
      await expect(a.publish(undefined, frame('1'))).rejects.toMatchObject(closed);
      expect(takeReports()).toEqual([]);
      await a.send(['s'], frame('1'));
      await a.delete('s');
      expect(takeReports()).toEqual(['closed', 'closed']);
      expect(await a.health()).toMatchObject({ ok: false });
    }
  },

  'streams/no-throw: no call throws synchronously, and un-awaited calls reject nowhere': async ({
    a,
    client,
    takeReports,
  }) => {
    const wrong = [undefined, null, 5, '', {}, [], '\0', '\ud800', [5], [undefined]] as never[];
    for (const value of wrong) {
      void a.send(value, value);
      void a.send(['s'], value);
      void a.delete(value);
      for (const call of [
        () => a.create(value, value),
        () => a.create('s', value),
        () => a.has(value),
        () => a.publish(value, frame('1')),
      ]) {
        const result = call();
        expect(result).toBeInstanceOf(Promise);
        await Promise.resolve(result).catch(() => undefined);
      }
    }
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await s.hasExactly(a, ['1']);
    takeReports();
  },

  'streams/unused: send and delete cost nothing and fail nowhere where no stream is open': async ({
    a,
    b,
    takeReports,
  }) => {
    await a.delete('s');
    await a.send(undefined, frame('1'));
    await b.send(['s'], frame('2'));
    await b.delete('s');
    expect(a.stats()).toMatchObject({ attached: 0, delivered: 0 });
    expect(takeReports()).toEqual([]);
  },

  'streams/health: a manager that reaches its backend says so': async ({ a, b }) => {
    expect(await a.health()).toMatchObject({ ok: true });
    await a.publish(undefined, frame('1'));
    expect(await a.health()).toMatchObject({ ok: true });
    await a.close();
    expect(await a.health()).toMatchObject({ ok: false });
    expect(await b.health()).toMatchObject({ ok: true });
  },

  'streams/stats: counters count': async ({ a, b, client }) => {
    expect(a.stats()).toMatchObject({ attached: 0, sent: 0, delivered: 0, replayed: 0, discontinuities: 0 });
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(a);
    for (const label of labels(5)) await a.publish([one.session], frame(label));
    await b.publish(undefined, frame('6'));
    await one.receives('6');
    await other.receives('6');
    expect(a.stats()).toMatchObject({ attached: 2, sent: 5, delivered: 7, discontinuities: 0, backlogBytes: 0 });
    expect(b.stats()).toMatchObject({ attached: 0, sent: 1, delivered: 0 });
    await one.stream.cancel();
    await b.publish([one.session], frame('7'));
    await b.publish([one.session], frame('8'));
    await one.connect(b);
    await one.receives('8');
    expect(a.stats().attached).toBe(1);
    expect(b.stats()).toMatchObject({ attached: 1, sent: 3, delivered: 2 });
    expect(b.stats().replayed).toBeLessThanOrEqual(2);
    await until(() => a.stats().lag === 0 && b.stats().lag === 0, 'both nodes to have read everything');
    await other.connect(a);
    await until(() => a.stats().attached === 1, 'the older stream to be given up');
  },
};
