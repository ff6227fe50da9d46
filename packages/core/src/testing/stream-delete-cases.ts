import { expect } from 'vitest';
import { frame } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';
import { until } from './until.ts';

/** `delete` means three things: a stream cancelled by its client, one cancelled late, and a DELETE request. */
export const streamDeleteCases: StreamCases = {
  'streams/delete: a DELETE ends the stream on its node': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await a.delete(s.session);
    await s.stream.ends();
    expect(await a.has(s.session)).toBe(false);
    expect(await b.has(s.session)).toBe(false);
  },

  'streams/delete-elsewhere: a DELETE on another node ends it everywhere': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await b.delete(s.session);
    expect(await b.has(s.session)).toBe(false);
    await s.stream.ends();
    expect(s.labels).toEqual(['1']);
    expect(await a.has(s.session)).toBe(false);
  },

  'streams/delete-unread: a DELETE ends a stream that nobody reads, and its late cancel does no harm': async ({
    a,
    b,
    client,
  }) => {
    const s = client();
    const unread = await s.connect(a, { reading: false });
    await a.publish([s.session], frame('0'));
    await a.publish([s.session], frame('0'));
    await b.delete(s.session);
    await until(async () => !(await a.has(s.session)), 'the end of the stream');
    await s.connect(b);
    await unread.cancel();
    await a.publish([s.session], frame('1'));
    await s.hasExactly(b, ['1']);
    expect(await a.has(s.session)).toBe(true);
  },

  'streams/delete-pending-create: a DELETE ends a stream whose create is on its way': async ({ a, b, client }) => {
    for (let round = 0; round < 5; round += 1) {
      const s = client();
      const stream = s.open(a);
      await a.delete(s.session);
      await stream.created.catch(() => undefined);
      await stream.ends();
      expect(await b.has(s.session)).toBe(false);
      expect(await a.has(s.session)).toBe(false);
    }
  },

  'streams/delete-races-create: create and DELETE at once leave a stream that works, or none': async ({
    a,
    b,
    client,
  }) => {
    for (let round = 0; round < 10; round += 1) {
      const s = client();
      const stream = s.open(a);
      await Promise.all([stream.created, b.delete(s.session)]);
      if (await b.has(s.session)) {
        await b.publish([s.session], frame('1'));
        await s.hasExactly(a, ['1']);
      } else {
        await stream.ends();
        expect(await a.has(s.session)).toBe(false);
      }
    }
  },

  'streams/delete-unknown: deleting what nobody knows is no error, however often': async ({ a, b, takeReports }) => {
    await Promise.all([a.delete('nobody'), a.delete('nobody'), b.delete('nobody')]);
    await a.delete('nobody');
    expect(await a.has('nobody')).toBe(false);
    expect(takeReports()).toEqual([]);
  },

  'streams/delete-create: a session created right after its DELETE stays': async ({ a, b, client }) => {
    for (const [first, second] of [
      [a, b],
      [a, a],
      [b, a],
    ] as const) {
      const s = client();
      const old = await s.connect(first);
      await b.publish([s.session], frame('1'));
      await s.receives('1');
      void second.delete(s.session);
      const next = s.open(second);
      await next.created;
      await old.ends();
      await first.publish([s.session], frame('2'));
      await s.hasExactly(b, ['1', '2']);
      expect(next.state).toBe('open');
      expect(await a.has(s.session)).toBe(true);
    }
  },

  'streams/delete-create-delete: the last call counts': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    void b.delete(s.session);
    const second = s.open(b);
    void b.delete(s.session);
    const third = s.open(b);
    await third.created;
    for (const stream of [s.streams[0], second]) await stream?.ends();
    await a.publish([s.session], frame('1'));
    await s.hasExactly(a, ['1']);
    expect(third.state).toBe('open');
  },

  'streams/cancel-is-no-delete: a cancelled session continues, a deleted one starts anew': async ({ a, b, client }) => {
    const [cancelled, deleted] = [client(), client()];
    await cancelled.connect(a);
    await deleted.connect(a);
    await cancelled.stream.cancel();
    await deleted.stream.cancel();
    await a.delete(deleted.session);
    await a.publish(undefined, frame('1'));
    await cancelled.connect(b);
    await deleted.connect(b);
    await a.publish(undefined, frame('2'));
    await cancelled.hasExactly(a, ['1', '2']);
    await deleted.hasExactly(a, ['2']);
  },

  'streams/delete-dead-only: a cancel takes the dead stream, not its living successor': async ({ a, client }) => {
    const s = client();
    const first = await s.connect(a);
    // Both at once on one node: the probe finds the one dead, the other alive.
    const second = s.open(a);
    await first.cancel();
    await second.created;
    await a.publish([s.session], frame('1'));
    await s.hasExactly(a, ['1']);
    expect(await a.has(s.session)).toBe(true);
  },

  'streams/delete-alike: a DELETE ends no session with an id that looks alike': async ({ a, b, client }) => {
    const ids = ['id', 'i', 'id ', ' id', 'ID', 'id2', '"id"', 'id","x', 'i_', 'id%', '*'];
    const clients = ids.map((id) => client(id));
    for (const each of clients) await each.connect(a);
    await b.delete('id');
    await clients[0]?.stream.ends();
    await b.publish(undefined, frame('1'));
    for (const each of clients.slice(1)) await each.hasExactly(b, ['1']);
  },
};
