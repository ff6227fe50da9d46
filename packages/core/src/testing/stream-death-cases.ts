import { expect } from 'vitest';
import { frame, labels } from './messages.ts';
import type { MortalStreams, StreamCases } from './stream-backend.ts';
import { until } from './until.ts';

const SHORT = { heartbeatMs: 100, sessionTimeoutMs: 800 };

/** Kills a process. Its manager goes on in vain: nothing that it still tries arrives. */
async function die({ manager, kill }: MortalStreams): Promise<void> {
  await kill();
  void manager.close();
}

/** A process that dies gives its sessions back. */
export const streamDeathCases: StreamCases = {
  'streams/death-has: the streams of a dead process are not known for long': async ({ open, openMortal, client }) => {
    const [a, b] = [openMortal({ ...SHORT, sendTimeoutMs: 2_000 }), open(SHORT)];
    const [one, other] = [client(), client()];
    await one.connect(a.manager);
    await other.connect(b);
    expect(await b.has(one.session)).toBe(true);
    await die(a);
    await until(async () => !(await b.has(one.session)), 'a dead stream to be forgotten');
    await until(() => b.has(other.session), 'the stream of a living process');
  },

  'streams/death-with-id: a client that names its last event loses nothing and sees nothing twice': async ({
    open,
    openMortal,
    client,
  }) => {
    const [a, b] = [openMortal({ ...SHORT, sendTimeoutMs: 2_000 }), open(SHORT)];
    const s = client();
    await s.connect(a.manager);
    for (const label of labels(10)) await b.publish([s.session], frame(label));
    await s.receives('10');
    await die(a);
    for (const label of labels(10, 11)) await b.publish([s.session], frame(label));
    await s.connect(b, { resume: true });
    await s.hasExactly(b, labels(20));
  },

  'streams/death-without-id: one that names none loses nothing, and may see again the last heartbeat': async ({
    open,
    openMortal,
    client,
  }) => {
    const [a, b] = [openMortal({ ...SHORT, sendTimeoutMs: 2_000 }), open(SHORT)];
    const s = client();
    await s.connect(a.manager);
    for (const label of labels(10)) await b.publish([s.session], frame(label));
    await s.receives('10');
    await die(a);
    s.stream.abandon();
    for (const label of labels(10, 11)) await b.publish([s.session], frame(label));
    await s.connect(b);
    await s.drain(b);
    const second = s.stream.labels.filter((label) => /^\d+$/.test(label));
    const repeated = second.length - 10;
    expect(repeated).toBeGreaterThanOrEqual(0);
    expect(second).toEqual(labels(10 + repeated, 11 - repeated));
  },

  'streams/death-let-in: nobody is locked out by a dead process, however often it moves meanwhile': async ({
    open,
    openMortal,
    client,
  }) => {
    const [a, b, c] = [openMortal({ ...SHORT, sendTimeoutMs: 2_000 }), open(SHORT), open(SHORT)];
    const s = client();
    await s.connect(a.manager);
    await b.publish([s.session], frame('1'));
    await s.receives('1');
    await die(a);
    s.stream.abandon();
    await b.publish([s.session], frame('2'));
    // None of these knows yet where the dead one ended.
    for (const manager of [b, c, b, c]) await s.connect(manager);
    await b.publish([s.session], frame('3'));
    await s.drain(b);
    const received = s.streams.slice(1).flatMap((stream) => stream.labels.filter((label) => /^\d$/.test(label)));
    expect(received.join()).toMatch(/^(1,)?2,3$/);
    expect(await b.has(s.session)).toBe(true);
  },

  'streams/death-cancelled-while-waiting: a successor that leaves early takes nothing with it': async ({
    open,
    openMortal,
    client,
  }) => {
    const [a, b] = [openMortal({ ...SHORT, sendTimeoutMs: 2_000 }), open(SHORT)];
    const s = client();
    await s.connect(a.manager);
    await b.publish([s.session], frame('1'));
    await s.receives('1');
    await die(a);
    s.stream.abandon();
    await b.publish([s.session], frame('2'));
    const early = await s.connect(b);
    await early.cancel();
    await b.publish([s.session], frame('3'));
    await s.connect(b);
    await s.drain(b);
    expect(early.labels).toEqual([]);
    expect(s.stream.labels.filter((label) => /^\d$/.test(label)).join()).toMatch(/^(1,)?2,3$/);
  },

  'streams/death-of-backend: out of reach of its backend a manager refuses in time, and leaves nothing': async ({
    b,
    openMortal,
    client,
  }) => {
    const { manager, kill } = openMortal({ sendTimeoutMs: 1_500 });
    await manager.publish(undefined, frame('1'));
    await kill();
    const s = client();
    const failing = [s.open(manager).created, manager.has('other'), manager.publish(['s'], frame('2'))];
    const silent = [manager.send(undefined, frame('3')), manager.delete('another')];
    for (const outcome of await Promise.allSettled(failing)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'SessionError' } });
    }
    await Promise.all(silent);
    expect(await b.has(s.session)).toBe(false);
    await s.connect(b);
    await s.hasExactly(b, []);
  },

  'streams/death-and-close: out of reach of its backend a manager closes within its deadline': async ({
    open,
    openMortal,
    client,
  }) => {
    const [{ manager, kill }, b] = [openMortal({ ...SHORT, sendTimeoutMs: 2_000 }), open(SHORT)];
    const s = client();
    await s.connect(manager);
    await manager.publish([s.session], frame('1'));
    await s.receives('1');
    await kill();
    void manager.send([s.session], frame('2'));
    const started = performance.now();
    await manager.close();
    expect(performance.now() - started).toBeLessThan(10_000);
    await s.stream.ends();
    await until(async () => !(await b.has(s.session)), 'the stream of a process that is gone to be forgotten');
  },
};
