import { env } from 'cloudflare:workers';
import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test, vi } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import type { Shard } from '../../src/protocol.ts';
import { gate } from './gate.ts';
import { type Relayed, relayed } from './relay.ts';

function frame(label: string): string {
  return `event: message\ndata: ${JSON.stringify({ params: { label } })}\n\n`;
}

function onceBefore(type: Relayed['type']): (message: Relayed) => boolean {
  let isCut = false;
  return (message) => {
    if (message.type !== type || isCut) return false;
    isCut = true;
    return true;
  };
}

test('cut/superseded: a stream whose socket breaks as it is superseded says where it stopped, and nothing is repeated', async () => {
  const namespace = 'cut/superseded';
  const binding = relayed(onceBefore('superseded'));
  const first = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1 });
  const second = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(first);
  await first.publish(['s'], frame('1'));
  await client.receives('1');
  await client.connect(second);
  await client.hasExactly(second, ['1']);
  await Promise.all([first.close(), second.close()]);
});

test('cut/superseded-delete: not even when the session ends at this moment', async () => {
  const namespace = 'cut/superseded-delete';
  const binding = relayed(onceBefore('superseded'));
  const first = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1 });
  const second = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(first);
  await first.publish(['s'], frame('1'));
  await client.receives('1');
  await client.connect(second);
  await second.publish(['s'], frame('2'));
  const deleted = second.delete('s');
  // When it has begun, a stream is released that is not waited for.
  for (let asked = 0; asked < 2; asked += 1) await second.has('s');
  const shard = env.TMCP_DURABLE_OBJECT.getByName(`v2/1/0/${namespace}`) as unknown as Shard;
  await shard.release({ session: 's', claim: 'another', detach: undefined });
  await deleted;
  await client.stream.ends();
  expect(client.labels).toEqual(['1', '2']);
  await Promise.all([first.close(), second.close()]);
});

test('cut/begin-delete: a stream that was not told where it begins gets what was accepted before its session ended', async () => {
  const namespace = 'cut/begin-delete';
  const back = gate();
  const binding = relayed(onceBefore('begin'), back.isOpen);
  const streams = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1 });
  const other = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(streams);
  await other.publish(['s'], frame('1'));
  await other.delete('s');
  await other.publish(undefined, frame('2'));
  back.open();
  await client.stream.ends();
  expect(client.labels).toEqual(['1']);
  await Promise.all([streams.close(), other.close()]);
});

test('cut/waiting-delete: so does one that waits for its predecessor, however far away both are', async () => {
  const namespace = 'cut/waiting-delete';
  const back = gate();
  const first = new DurableObjectStreamSessionManager({
    binding: relayed(onceBefore('superseded'), back.isOpen),
    namespace,
    shards: 1,
  });
  const second = new DurableObjectStreamSessionManager({
    binding: relayed(onceBefore('impatient'), back.isOpen),
    namespace,
    shards: 1,
  });
  const third = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(first);
  await client.connect(second);
  // Until it gets impatient, which breaks its socket.
  await vi.waitFor(async () => expect(await third.has('s')).toBe(false), { timeout: 5_000 });
  await third.publish(['s'], frame('1'));
  await third.delete('s');
  back.open();
  await client.stream.ends();
  expect(client.labels).toEqual(['1']);
  await Promise.all([first, second, third].map((streams) => streams.close()));
});

const HINTS = ['tools changed', 'prompts changed', 'resources changed'];

test('cut/begin-untold: what a stream was not told, that it cannot continue, its successor is told', async () => {
  const namespace = 'cut/begin-untold';
  const onError = (): void => undefined;
  const binding = relayed(onceBefore('begin'));
  const first = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1, onError });
  const second = new DurableObjectStreamSessionManager({ namespace, shards: 1, onError });
  const client = new TestClient('s');
  await client.connect(first, { lastEventId: 'lost' });
  await second.publish(['s'], frame('1'));
  await client.connect(second);
  await client.hasExactly(second, [...HINTS, '1']);
  // Once is enough.
  await client.connect(first);
  await client.hasExactly(second, [...HINTS, '1']);
  await Promise.all([first.close(), second.close()]);
});

test('cut/hints-unread: nor is it lost when it was not read', async () => {
  const streams = new DurableObjectStreamSessionManager({
    namespace: 'cut/hints-unread',
    shards: 1,
    onError: () => undefined,
  });
  const client = new TestClient('s');
  const stream = await client.connect(streams, { lastEventId: 'lost', reading: false });
  // Behind the transport's own first frame.
  await vi.waitFor(() => expect(stream.unread).toBe(4));
  await client.connect(streams);
  await client.hasExactly(streams, HINTS);
  await streams.close();
});
