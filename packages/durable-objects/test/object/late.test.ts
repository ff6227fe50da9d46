import { env } from 'cloudflare:workers';
import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test, vi } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import { PATHS, PROTOCOL, type Shard, type ShardBatch, type ToWorker } from '../../src/protocol.ts';
import { loseLog } from './lose-log.ts';

function frame(label: string): string {
  return `event: message\ndata: ${JSON.stringify({ params: { label } })}\n\n`;
}

/** The binding, without the sockets that are open and new ones until `back` is called; calls go through. */
function cuttable(): { binding: DurableObjectNamespace; away: () => () => void } {
  const objects = env.TMCP_DURABLE_OBJECT;
  const sockets = new Set<WebSocket>();
  let isAway = false;
  const stub = (id: DurableObjectId): Shard => objects.get(id) as unknown as Shard;
  const binding = {
    idFromName: (name: string) => objects.idFromName(name),
    get: (id: DurableObjectId) => ({
      publish: (...args: Parameters<Shard['publish']>) => stub(id).publish(...args),
      release: (...args: Parameters<Shard['release']>) => stub(id).release(...args),
      endSession: (...args: Parameters<Shard['endSession']>) => stub(id).endSession(...args),
      fetch: async (url: string, init: RequestInit) => {
        if (isAway) throw new Error('Network connection lost.');
        const response = await objects.get(id).fetch(url, init);
        if (response.webSocket) sockets.add(response.webSocket);
        return response;
      },
    }),
  } as unknown as DurableObjectNamespace;
  const away = () => {
    isAway = true;
    for (const socket of sockets) socket.close();
    sockets.clear();
    return () => {
      isAway = false;
    };
  };
  return { binding, away };
}

test('late/first-try: a try that arrives after the one that repeats it is not stored again', async () => {
  const namespace = 'late/first-try';
  const streams = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(streams);
  const shard = env.TMCP_DURABLE_OBJECT.getByName(`v2/1/0/${namespace}`) as unknown as Shard;
  const settings = { resumeWindowMs: 60_000, maxLogBytes: 1024 * 1024, sessionTimeoutMs: 10_000 };
  const batch: Omit<ShardBatch, 'attempt'> = { id: 'batch', messages: [{ to: ['s'], data: frame('1') }], settings };
  await shard.publish({ ...batch, attempt: 2 });
  expect(await shard.publish({ ...batch, attempt: 1 })).toMatchObject({ stored: true });
  await streams.publish(['s'], frame('2'));
  await client.hasExactly(streams, ['1', '2']);
  await streams.close();
});

test('late/impatient: a stream whose shard was away does not wait for a silent predecessor for ever', async () => {
  const namespace = 'late/impatient';
  const objects = env.TMCP_DURABLE_OBJECT;
  const name = `v2/1/0/${namespace}`;
  // A Worker that holds the session and says nothing.
  const query = new URLSearchParams({ p: String(PROTOCOL), session: 's', claim: 'silent' });
  const { webSocket } = await objects.getByName(name).fetch(`https://shard${PATHS.stream}?${query}`, {
    headers: { Upgrade: 'websocket' },
  });
  webSocket?.accept();

  const { binding, away } = cuttable();
  const streams = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(streams);
  const back = away();
  // Longer than it waits for the silent one.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  back();
  await streams.publish(['s'], frame('1'));
  await client.receives('1');
  await streams.close();
  webSocket?.close();
});

test('late/delete: a stream whose socket is away when its session ends still gets what was accepted before', async () => {
  const namespace = 'late/delete';
  const { binding, away } = cuttable();
  const streams = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1 });
  const [client, other] = [new TestClient('s'), new TestClient('other')];
  await client.connect(streams);
  await other.connect(streams);
  await streams.publish(['s'], frame('1'));
  await client.receives('1');
  const back = away();
  // More than a page.
  const labels = Array.from({ length: 600 }, (_, index) => `m${index}`);
  await Promise.all(labels.map((label) => streams.publish(['s'], frame(label))));
  await streams.publish(undefined, frame('last'));
  await streams.delete('s');
  await streams.publish(undefined, frame('after'));
  // As a client does that got no answer.
  await streams.delete('s');
  back();
  await other.receives('after');
  await vi.waitFor(() => expect(client.stream.state).toBe('ended'));
  expect(client.labels).toEqual(['1', ...labels, 'last']);
  await streams.close();
});

test('late/slow-reader: a stream comes back as often as it likes: replay goes at the pace of its reader', async () => {
  const namespace = 'late/slow-reader';
  const { binding, away } = cuttable();
  const options = { binding, namespace, shards: 1, maxStreamBufferBytes: 1_000 };
  const streams = new DurableObjectStreamSessionManager(options);
  const client = new TestClient('s');
  await client.connect(streams);
  await client.stream.cancel();
  const labels = Array.from({ length: 30 }, (_, index) => `${index}${' '.repeat(50_000)}`);
  for (const label of labels) await streams.publish(['s'], frame(label));
  const stream = await client.connect(streams, { reading: false });
  await vi.waitFor(() => expect(stream.unread).toBeGreaterThan(1));
  const { unread } = stream;
  for (const reconnects of [1, 2, 3]) {
    away()();
    await vi.waitFor(() => expect(streams.stats()).toMatchObject({ reconnects }));
    // The shard has answered whatever it was asked when it answers this.
    await streams.publish(['s'], frame(`${reconnects}`));
  }
  expect(stream.unread).toBe(unread);
  stream.read();
  await client.hasExactly(streams, [...labels, '1', '2', '3']);
  await streams.close();
});

test('late/lost: a stream that was not told where it begins, and whose log is lost, begins at the new head', async () => {
  const namespace = 'late/lost';
  const open = async (query: Record<string, string>): Promise<ToWorker> => {
    const search = new URLSearchParams({ p: String(PROTOCOL), session: 's', claim: 'a', ...query });
    const { webSocket } = await env.TMCP_DURABLE_OBJECT.getByName(`v2/1/0/${namespace}`).fetch(
      `https://shard${PATHS.stream}?${search}`,
      { headers: { Upgrade: 'websocket' } },
    );
    const heard = new Promise<ToWorker>((resolve) => {
      webSocket?.addEventListener('message', ({ data }) => resolve(JSON.parse(String(data)) as ToWorker));
    });
    webSocket?.accept();
    return heard;
  };
  const streams = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  await streams.publish(undefined, frame('1'));
  expect(await open({})).toMatchObject({ type: 'begin', after: 1, resumed: true });
  await loseLog(namespace);
  expect(await open({ mode: 'resume' })).toMatchObject({ type: 'begin', after: 0, resumed: false });
});

test('late/foreign: whatever a client names as its last event, it is let in', async () => {
  const namespace = 'late/foreign';
  const reported: string[] = [];
  let begun = 0;
  const onError = ({ code }: { code: string }): void => void reported.push(code);
  const streams = new DurableObjectStreamSessionManager({ namespace, shards: 1, onError });
  for (const lastEventId of ['x'.repeat(100_000), '\u0000\ud800', '..', ' ']) {
    let controller: ReadableStreamDefaultController | undefined;
    const body = new ReadableStream({
      start: (started) => {
        controller = started;
      },
    });
    if (!controller) throw new Error('a stream starts in its constructor');
    await streams.create('s', controller, { lastEventId });
    begun += 1;
    await expect.poll(() => streams.stats().notResumed).toBe(begun);
    expect(await streams.has('s')).toBe(true);
    await body.cancel();
  }
  await streams.close();
  expect(reported).toEqual(Array(4).fill('not-resumed'));
});
