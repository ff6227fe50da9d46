import { expect } from 'vitest';
import { frame, frameOfSize, HINTS, labels } from './messages.ts';
import type { StreamCases } from './stream-backend.ts';
import type { TestClient } from './test-client.ts';
import { pause, until } from './until.ts';

const KEEP_ALIVE = 'keepalive';

/** What is bounded, and what happens at the bound. */
export const streamLimitCases: StreamCases = {
  'streams/slow-reader: a client that does not read is cut off, and resumes without a loss': async ({
    open,
    b,
    client,
    takeReports,
  }) => {
    const a = open({ maxStreamBufferBytes: 20_000 });
    const [s, other] = [client(), client()];
    await s.connect(a);
    await other.connect(a);
    await a.publish([s.session], frame('1'));
    await s.receives('1');
    s.stream.pause();
    const sent = labels(50, 2);
    for (const label of sent) await b.publish([s.session, other.session], frameOfSize(label, 1_000));
    await until(async () => !(await b.has(s.session)), 'the end of a stream that nobody reads');
    expect(takeReports()).toEqual(['slow-reader']);
    await other.hasExactly(b, sent);
    await s.connect(b);
    await s.hasExactly(b, labels(51));
    s.streams[0]?.read();
    await s.streams[0]?.ends();
    await s.hasExactly(b, labels(51));
  },

  'streams/slow-reader-resume: the same for one that names its last event': async ({
    open,
    b,
    client,
    takeReports,
  }) => {
    const a = open({ maxStreamBufferBytes: 20_000 });
    const s = client();
    const stream = await s.connect(a, { reading: false });
    for (const label of labels(10)) await a.publish([s.session], frameOfSize(label, 1_000));
    while (!stream.labels.includes('5')) await stream.readChunk();
    for (const label of labels(30, 11)) await a.publish([s.session], frameOfSize(label, 1_000));
    await until(async () => !(await b.has(s.session)), 'the end of a stream that nobody reads');
    expect(takeReports()).toEqual(['slow-reader']);
    await s.connect(a, { resume: true });
    await s.hasExactly(b, labels(40));
  },

  'streams/burst: what comes at once ends no stream whose client reads': async ({ open, b, client }) => {
    const a = open({ maxStreamBufferBytes: 10_000 });
    const [s, other] = [client(), client()];
    await s.connect(a);
    await other.connect(a);
    for (const manager of [a, b]) {
      await s.drain(manager);
      await Promise.all(labels(50).map((label) => manager.publish(undefined, frameOfSize(label, 1_000))));
    }
    await s.hasExactly(b, [...labels(50), ...labels(50)]);
    await other.hasExactly(b, [...labels(50), ...labels(50)]);
    expect(s.streams).toHaveLength(1);
  },

  'streams/large-alone: one message larger than the limit ends no stream': async ({ open, b, client }) => {
    const a = open({ maxStreamBufferBytes: 20_000 });
    const [s, other] = [client(), client()];
    const stream = await s.connect(a, { reading: false });
    await other.connect(a);
    await b.publish(undefined, frame('1'));
    await b.publish(undefined, frameOfSize('2', 1_000_000));
    await other.receives('2');
    expect(await b.has(s.session)).toBe(true);
    stream.read();
    await b.publish(undefined, frame('3'));
    await s.hasExactly(b, ['1', '2', '3']);
    await other.hasExactly(b, ['1', '2', '3']);
    expect(s.streams).toHaveLength(1);
  },

  'streams/replay-at-reading-pace: a replay waits for its reader, and is not cut off for its length': async ({
    open,
    b,
    client,
  }) => {
    const a = open({ maxStreamBufferBytes: 20_000 });
    const s = client();
    await s.connect(a);
    await s.stream.cancel();
    const sent = labels(200);
    await Promise.all(sent.map((label) => b.publish([s.session], frameOfSize(label, 2_000))));
    const stream = await s.connect(a, { reading: false });
    while (!stream.labels.includes('200')) await stream.readChunk();
    stream.read();
    await s.hasExactly(b, sent);
  },

  'streams/keep-alive: an idle stream gets comments, which are no events': async ({ open, client }) => {
    const a = open({ keepAliveMs: 20 });
    const s = client();
    await s.connect(a);
    await until(() => s.stream.comments.filter((comment) => comment === KEEP_ALIVE).length >= 5, '5 keep-alives');
    await a.publish([s.session], frame('1'));
    await s.hasExactly(a, ['1']);
    const comments = s.stream.frames.filter(({ comment }) => comment === KEEP_ALIVE);
    expect(comments.every(({ id, event, data }) => (id ?? event ?? data) === undefined)).toBe(true);
  },

  'streams/keep-alive-off: with 0 nothing is written': async ({ open, client }) => {
    const [on, off] = [open({ keepAliveMs: 20 }), open({ keepAliveMs: 0 })];
    const [s, silent] = [client(), client()];
    await silent.connect(off);
    await s.connect(on);
    await until(() => s.stream.comments.length >= 8, '7 keep-alives elsewhere');
    await silent.hasExactly(off, []);
    expect(silent.stream.comments).toEqual(['connected']);
  },

  'streams/keep-alive-unread: comments do not pile up where nobody reads': async ({ open, client }) => {
    const a = open({ keepAliveMs: 20 });
    const [s, idle] = [client(), client()];
    const unread = await idle.connect(a, { reading: false });
    await s.connect(a);
    await until(() => s.stream.comments.length >= 10, '9 keep-alives elsewhere');
    // The transport's own frame, and at most one comment.
    expect(unread.unread).toBeLessThanOrEqual(2);
  },

  'streams/outbox-full: beyond `maxOutboxBytes` a message is refused, what was accepted arrives': async ({
    open,
    client,
    takeReports,
  }) => {
    const a = open({ maxOutboxBytes: 50_000 });
    const s = client();
    await s.connect(a);
    const results = await Promise.allSettled(
      labels(100).map((label) => a.publish([s.session], frameOfSize(label, 1_000))),
    );
    const accepted = labels(100).filter((_, index) => results[index]?.status === 'fulfilled');
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error).toMatchObject({ code: 'outbox-full' });
    await s.hasExactly(a, accepted);
    await a.publish([s.session], frame('after'));
    await Promise.all(labels(100).map(() => a.send([], frameOfSize('nobody', 1_000))));
    await s.hasExactly(a, [...accepted, 'after']);
    expect(takeReports()).toEqual([]);
  },

  'streams/trimmed: a session whose events were trimmed away is told so, a quiet one resumes': async ({
    open,
    client,
    takeReports,
  }) => {
    const options = { maxLogBytes: 100_000, heartbeatMs: 50 };
    const [a, b] = [open(options), open(options)];
    const [noise, quiet] = [client(), client()];
    await noise.connect(a);
    await quiet.connect(b);
    await a.publish([quiet.session], frame('1'));
    await quiet.receives('1');
    const away = await detached(100, client, a);
    const trimmed = async (stale: TestClient): Promise<boolean> => {
      await a.publish([noise.session], frameOfSize('noise', 50_000));
      await noise.drain(a);
      await stale.connect(b, { resume: true });
      await stale.drain(a);
      return takeReports().includes('not-resumed');
    };
    const { labels: received } = await firstWhere(away, trimmed, 'the log to be trimmed');
    expect(received).toEqual(['1', ...HINTS]);

    await quiet.stream.cancel();
    await a.publish([quiet.session], frame('2'));
    await quiet.connect(a, { resume: true });
    await quiet.hasExactly(b, ['1', '2']);
    // That the log exceeds its size may have been said, for what a process has read is written only now and then.
    expect(takeReports().filter((code) => code !== 'configuration')).toEqual([]);
  },

  'streams/resume-window: after it a session is not resumed, which is said': async ({ open, client, takeReports }) => {
    const a = open({ resumeWindowMs: 300, heartbeatMs: 50 });
    const away = await detached(50, client, a);
    const expired = async (stale: TestClient): Promise<boolean> => {
      await pause(50);
      await stale.connect(a, { resume: true });
      await stale.drain(a);
      return takeReports().includes('not-resumed');
    };
    const { labels: received } = await firstWhere(away, expired, 'the resume window to end');
    expect(received).toEqual(['1', ...HINTS]);
  },
};

/** Clients that have received `1`, went away, and missed `2`. */
async function detached(
  count: number,
  client: () => TestClient,
  manager: Parameters<TestClient['drain']>[0] & Parameters<TestClient['open']>[0],
): Promise<TestClient[]> {
  const clients = Array.from({ length: count }, () => client());
  await Promise.all(clients.map((each) => each.connect(manager)));
  const sessions = clients.map(({ session }) => session);
  await manager.publish(sessions, frame('1'));
  await Promise.all(clients.map((each) => each.receives('1')));
  await Promise.all(clients.map((each) => each.stream.cancel()));
  await manager.publish(sessions, frame('2'));
  return clients;
}

/** Asks one after the other, for asking changes what is asked about. */
async function firstWhere(
  clients: readonly TestClient[],
  condition: (each: TestClient) => Promise<boolean>,
  what: string,
): Promise<TestClient> {
  for (const each of clients) if (await condition(each)) return each;
  throw new Error(`waited in vain for ${what}`);
}
