import { env } from 'cloudflare:workers';
import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import { PROTOCOL, type Shard, type ShardBatch, type Topic, type ToShard, type ToWorker } from '../../src/protocol.ts';

const settings = { resumeWindowMs: 60_000, maxLogBytes: 4_000, sessionTimeoutMs: 10_000 };

/** A shard whose log holds little, and the Worker's side of streams of one session. */
class Trimmed {
  readonly #stub: DurableObjectStub;
  #batches = 0;

  constructor(name: string) {
    this.#stub = env.TMCP_DURABLE_OBJECT.getByName(name);
  }

  get shard(): Shard {
    return this.#stub as unknown as Shard;
  }

  async open(claim: string): Promise<{ send(message: ToShard): void; next(): Promise<ToWorker> }> {
    const query = new URLSearchParams({ p: String(PROTOCOL), session: 's', claim });
    const { webSocket } = await this.#stub.fetch(`https://shard/stream?${query}`, {
      headers: { Upgrade: 'websocket' },
    });
    if (!webSocket) throw new Error('the shard opened no socket');
    const [heard, waiting]: [ToWorker[], ((message: ToWorker) => void)[]] = [[], []];
    webSocket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as ToWorker;
      const take = waiting.shift();
      if (take) take(message);
      else heard.push(message);
    });
    webSocket.accept();
    const next = (): Promise<ToWorker> =>
      new Promise((resolve) => {
        const message = heard.shift();
        if (message) resolve(message);
        else waiting.push(resolve);
      });
    return { send: (message) => webSocket.send(JSON.stringify(message)), next };
  }

  async publish(data: string): Promise<void> {
    this.#batches += 1;
    const batch: ShardBatch = { id: `${this.#batches}`, attempt: 1, messages: [{ to: ['s'], data }], settings };
    await this.shard.publish(batch);
  }

  /** Three messages, of which the log can hold the last one. */
  async overflow(): Promise<void> {
    await this.publish('1');
    await this.publish('2'.repeat(5_000));
    await this.publish('3');
  }
}

test('trimmed/before-pull: a stream whose start is trimmed before it pulls gets what is still there', async () => {
  const log = new Trimmed('trimmed/before-pull');
  const stream = await log.open('a');
  expect(await stream.next()).toMatchObject({ type: 'begin', after: 0, resumed: true });
  await log.overflow();
  stream.send({ type: 'pull', after: 0 });
  expect(await stream.next()).toMatchObject({ type: 'begin', after: 2, resumed: false });
  stream.send({ type: 'pull', after: 2 });
  expect(await stream.next()).toEqual({ type: 'page', entries: [[3, '3']], live: true });
});

test('trimmed/waiting: so does one whose start is trimmed while it waits for its predecessor', async () => {
  const log = new Trimmed('trimmed/waiting');
  await log.open('a');
  const stream = await log.open('b');
  await log.overflow();
  await log.shard.release({ session: 's', claim: 'a', detach: 0 });
  expect(await stream.next()).toMatchObject({ type: 'begin', after: 2, resumed: false });
  stream.send({ type: 'pull', after: 2 });
  expect(await stream.next()).toEqual({ type: 'page', entries: [[3, '3']], live: true });
});

test('trimmed/after-pull: a stream that loses what it has not pulled yet ends once, and its successor is told', async () => {
  const reported: string[] = [];
  const streams = new DurableObjectStreamSessionManager({
    namespace: 'trimmed/after-pull',
    shards: 1,
    maxLogBytes: 600_000,
    // It pulls no second page before the first one is read.
    maxStreamBufferBytes: 1_000,
    onError: ({ code }) => void reported.push(code),
  });
  const frame = (label: string): string =>
    `event: message\ndata: ${JSON.stringify({ params: { label, text: 'x'.repeat(100_000) } })}\n\n`;
  const publish = async (...labels: string[]): Promise<void> => {
    for (const label of labels) await streams.publish(['s'], frame(label));
  };
  const client = new TestClient('s');
  await client.connect(streams);
  await publish('1');
  await client.receives('1');
  await client.stream.cancel();
  // A page has at most 256 KiB and the entry that passes them.
  await publish('2', '3', '4', '5');
  const stream = await client.connect(streams, { resume: true, reading: false });
  await expect.poll(() => stream.unread).toBe(4);
  await publish('6', '7', '8', '9', '10');
  stream.read();
  await stream.ends();
  expect(client.labels).toEqual(['1', '2', '3', '4']);
  expect(reported).toEqual(['discontinuity']);
  expect(streams.stats()).toMatchObject({ discontinuities: 1, notResumed: 0 });

  await client.connect(streams, { resume: true });
  const hints = ['tools changed', 'prompts changed', 'resources changed'];
  await client.hasExactly(streams, ['1', '2', '3', '4', ...hints]);
  expect(reported).toEqual(['discontinuity', 'not-resumed']);
  // From here on all is as before.
  await client.connect(streams, { resume: true });
  await publish('11');
  await client.hasExactly(streams, ['1', '2', '3', '4', ...hints, '11']);
  expect(streams.stats()).toMatchObject({ discontinuities: 1, notResumed: 1 });
});

test('trimmed/topics: a listen stream is not told to look again because other topics are trimmed', async () => {
  const stub = env.TMCP_DURABLE_OBJECT.getByName('trimmed/topics');
  const shard = stub as unknown as Shard;
  const listen = async (topics: string, after?: { epoch: string; after: number }): Promise<ToWorker> => {
    const query = new URLSearchParams({ p: String(PROTOCOL), topics });
    for (const [name, value] of Object.entries(after ?? {})) query.set(name, String(value));
    const { webSocket } = await stub.fetch(`https://shard/listen?${query}`, { headers: { Upgrade: 'websocket' } });
    const heard = new Promise<ToWorker>((resolve) => {
      webSocket?.addEventListener('message', ({ data }) => resolve(JSON.parse(String(data)) as ToWorker));
    });
    webSocket?.accept();
    return heard;
  };
  const publish = (id: number, topic: Topic, data: string): Promise<unknown> =>
    shard.publish({ id: String(id), attempt: 1, messages: [{ topic, data }], settings });
  await publish(1, 'tools', '{}');
  const begin = await listen('tools,prompts');
  if (begin.type !== 'begin') throw new Error(`the shard said ${begin.type}`);
  for (let id = 2; id <= 4; id += 1) await publish(id, 'updated', 'x'.repeat(3_000));
  const [quiet, busy] = [await listen('tools,prompts', begin), await listen('tools,updated', begin)];
  expect(quiet).toEqual({ type: 'begin', epoch: begin.epoch, after: 1, resumed: true });
  expect(busy).toEqual({ type: 'begin', epoch: begin.epoch, after: 4, resumed: false });
  // A topic that only newer Workers know.
  expect(await listen('tools,roots', begin)).toEqual(quiet);
});
