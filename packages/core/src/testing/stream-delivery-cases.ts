import { expect } from 'vitest';
import { frame, labels, listChanged } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';

/** Which messages reach whom, in which order. */
export const streamDeliveryCases: StreamCases = {
  'streams/first-frame: what the transport writes first comes first': async ({ a, b, client }) => {
    for (const transport of ['http', 'sse'] as const) {
      const s = client();
      await s.connect(a);
      await s.stream.cancel();
      await a.publish([s.session], frame('1'));
      await b.publish(undefined, frame('2'));
      const stream = s.open(b, { transport });
      void a.send([s.session], frame('3'));
      await stream.created;
      await s.receives('3');
      const [first] = stream.frames;
      expect(first?.comment ?? first?.event).toBe(transport === 'http' ? 'connected' : 'endpoint');
      await s.hasExactly(a, ['1', '2', '3']);
      await s.stream.cancel();
    }
  },

  'streams/to-one: a message for a session reaches it alone, from any node': async ({ a, b, client }) => {
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(a);
    await a.publish([one.session], frame('1'));
    await b.publish([one.session], frame('2'));
    await one.hasExactly(b, ['1', '2']);
    await other.hasExactly(b, []);
  },

  'streams/to-everyone: undefined is every session of every node': async ({ a, b, client }) => {
    const clients = [client(), client(), client(), client()];
    for (const [index, each] of clients.entries()) await each.connect(index % 2 ? a : b);
    await a.publish(undefined, frame('1'));
    await b.publish(undefined, frame('2'));
    for (const each of clients) await each.hasExactly(a, ['1', '2']);
  },

  'streams/to-nobody: an empty list is nobody': async ({ a, client }) => {
    const s = client();
    await s.connect(a);
    await a.publish([], frame('1'));
    await a.send([], frame('2'));
    await s.hasExactly(a, []);
  },

  'streams/to-some: each session of a list gets the message once, however often it is named': async ({
    a,
    b,
    client,
  }) => {
    const [one, two, three] = [client(), client(), client()];
    await one.connect(a);
    await two.connect(b);
    await three.connect(b);
    const names = [one.session, two.session, one.session, 'unknown', two.session];
    await a.publish(names, frame('1'));
    await one.hasExactly(a, ['1']);
    await two.hasExactly(a, ['1']);
    await three.hasExactly(a, []);
    expect(names).toHaveLength(5);
  },

  'streams/to-unknown: a message for a session that nobody knows is no error': async ({ a, takeReports }) => {
    await a.publish(['nobody'], frame('1'));
    await a.send(['nobody'], frame('2'));
    expect(takeReports()).toEqual([]);
  },

  'streams/same-text: equal messages are not folded into one': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    const equal = Array.from({ length: 20 }, () => 'same');
    await Promise.all(equal.map((label) => b.publish([s.session], frame(label))));
    await s.hasExactly(a, equal);
  },

  'streams/call-order: calls that nobody awaits take effect in their order': async ({ a, b, client }) => {
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(b);
    const sent = labels(500);
    for (const label of sent)
      void (Number(label) % 3 ? a.send([one.session], frame(label)) : a.send(undefined, frame(label)));
    await one.hasExactly(a, sent);
    await other.hasExactly(
      a,
      sent.filter((label) => Number(label) % 3 === 0),
    );
  },

  'streams/one-order: messages of several senders reach every session in the same order': async ({ a, b, client }) => {
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(b);
    const everyone = (prefix: string, manager: typeof a): Promise<void>[] =>
      labels(100, 1, prefix).map((label) => manager.publish(undefined, frame(label)));
    await Promise.all([...everyone('a', a), ...everyone('b', b)]);
    await one.drain(a);
    await other.drain(a);
    expect(one.labels).toEqual(other.labels);
    expect(one.labels.filter((label) => label.startsWith('a'))).toEqual(labels(100, 1, 'a'));
    expect(one.labels.filter((label) => label.startsWith('b'))).toEqual(labels(100, 1, 'b'));
  },

  'streams/create-in-order: a new session gets what was sent after its create, nothing from before': async ({
    a,
    client,
  }) => {
    const s = client();
    void a.send([s.session], frame('before'));
    void a.send(undefined, frame('before'));
    s.open(a);
    void a.send([s.session], frame('1'));
    void a.send(undefined, frame('2'));
    await s.hasExactly(a, ['1', '2']);
  },

  'streams/delete-in-order: a session gets what was sent before its DELETE, nothing from after': async ({
    a,
    client,
  }) => {
    const s = client();
    await s.connect(a);
    void a.send([s.session], frame('1'));
    void a.delete(s.session);
    void a.send([s.session], frame('after'));
    await s.stream.ends();
    expect(s.labels).toEqual(['1']);
    await s.connect(a);
    await s.hasExactly(a, ['1']);
  },

  'streams/broadcast-during-takeover: a broadcast reaches a moving session once': async ({ a, b, client }) => {
    const clients = Array.from({ length: 10 }, () => client());
    await Promise.all(clients.map((each) => each.connect(a)));
    const sent: Promise<void>[] = [];
    for (const label of labels(10)) {
      sent.push(a.publish(undefined, frame(label)));
      const target = Number(label) % 2 ? b : a;
      for (const each of clients) each.open(target);
      sent.push(b.publish(undefined, frame(`${label}b`)));
      await Promise.all(clients.map((each) => each.stream.created));
    }
    await Promise.all(sent);
    const expected = labels(10).flatMap((label) => [label, `${label}b`]);
    for (const each of clients) {
      await each.drain(a);
      expect(each.labels.toSorted()).toEqual(expected.toSorted());
    }
  },

  'streams/event-ids: every message has an id of its own, and keeps its text': async ({ a, b, client }) => {
    const [one, other] = [client(), client()];
    await one.connect(a);
    await other.connect(b);
    for (const label of labels(20)) await a.publish(undefined, frame(label));
    await one.hasExactly(a, labels(20));
    await other.hasExactly(a, labels(20));
    const ids = labels(20).map((label) => one.stream.idOf(label));
    expect(new Set(ids).size).toBe(20);
    expect(ids.every((id) => /^[\x21-\x7e]{1,64}$/.test(id))).toBe(true);
    const message = one.stream.frames.find(({ data }) => data?.includes('"1"'));
    expect(message).toMatchObject({ event: 'message', data: frame('1').split('data: ')[1]?.trimEnd() });
  },

  'streams/event-ids-off: without `eventIds` frames stay as they were sent': async ({ open, client }) => {
    const a = open({ eventIds: false });
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frame('1'));
    await a.publish(undefined, frame('2'));
    await s.hasExactly(a, ['1', '2']);
    expect(s.stream.frames.filter(({ id }) => id !== undefined)).toEqual([]);
    await s.stream.cancel();
    await a.publish([s.session], frame('3'));
    await s.connect(open());
    await s.hasExactly(a, ['1', '2', '3']);
  },

  'streams/namespaces: sessions and broadcasts of two namespaces never meet': async ({ open, client }) => {
    const [a, b] = [open({ namespace: 'one' }), open({ namespace: 'two' })];
    const [one, other] = [client('same'), client('same')];
    await one.connect(a);
    expect(await b.has('same')).toBe(false);
    await other.connect(b);
    await a.publish(undefined, frame('1'));
    await a.publish(['same'], frame('2'));
    await b.publish(['same'], frame('3'));
    await b.delete('same');
    await other.stream.ends();
    await one.hasExactly(a, ['1', '2']);
    expect(other.labels).toEqual(['3']);
    expect(await a.has('same')).toBe(true);
  },

  'streams/boot-broadcasts: equal list changes are merged before the first connection, later not': async ({
    a,
    open,
    client,
  }) => {
    const s = client();
    await s.connect(a);
    const booting = open();
    const sent = [
      ...labels(5).map(() => booting.publish(undefined, listChanged('tools'))),
      booting.publish(undefined, listChanged('prompts')),
      booting.publish(undefined, frame('other')),
      booting.publish(undefined, frame('other')),
    ];
    await Promise.all(sent);
    await s.hasExactly(booting, ['tools changed', 'prompts changed', 'other', 'other']);
    await Promise.all(labels(3).map(() => booting.publish(undefined, listChanged('tools'))));
    await s.drain(booting);
    expect(s.labels.slice(4)).toEqual(['tools changed', 'tools changed', 'tools changed']);
  },

  'streams/many-receivers: one message reaches 10,000 named sessions': async ({ a, b, client }) => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `many-${index}`);
    const named = [client(ids[0]), client(ids[4_999]), client(ids[9_999])];
    const other = client('many-10000');
    for (const each of [...named, other]) await each.connect(b);
    await a.publish(ids, frame('1'));
    for (const each of named) await each.hasExactly(a, ['1']);
    await other.hasExactly(a, []);
  },
};
