import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import type { Shard, ShardBatch } from '../../src/protocol.ts';
import { Outbox } from '../../src/worker/outbox.ts';
import { type ObjectBinding, Shards } from '../../src/worker/shards.ts';
import { gate } from './gate.ts';

const SETTINGS = { resumeWindowMs: 60_000, maxLogBytes: 1024 * 1024, sessionTimeoutMs: 10_000 };

function outbox(namespace: string, binding: ObjectBinding = 'TMCP_DURABLE_OBJECT'): Outbox {
  const shards = new Shards({
    binding,
    namespace,
    shards: 2,
    locationHint: undefined,
    jurisdiction: undefined,
  });
  return new Outbox({ shards, settings: SETTINGS, sendTimeoutMs: 1_000, maxOutboxBytes: 100 });
}

/** What is left of a request that the runtime has ended: a call that never comes back, and what waits behind it. */
function diesWith(message: string, box: Outbox): void {
  void box.run(0, () => new Promise(() => undefined));
  void box.send([0], () => ({ data: message }), true);
}

test.concurrent('outbox/dead-request: what died with its request neither fills the outbox nor holds up a close', async () => {
  const box = outbox('outbox/dead-request');
  diesWith('x'.repeat(80), box);
  expect(box.bytes).toBe(80);
  await expect(box.send([1], () => ({ data: 'y'.repeat(80) }), false)).rejects.toMatchObject({ code: 'outbox-full' });
  await box.flushed();
  expect(box.bytes).toBe(0);
  await box.send([0, 1], () => ({ data: 'z'.repeat(80) }), false);
});

test.concurrent('outbox/dead-merge: a list change is not merged with one that died with its request', async () => {
  const box = outbox('outbox/dead-merge');
  diesWith('change', box);
  await box.flushed();
  await box.send([0], () => ({ data: 'change' }), true);
});

test('outbox/merged: equal list changes of a first request travel once', async () => {
  const box = outbox('outbox/merged');
  const sent = ['change', 'change', 'other'].map((data) => box.send([0], () => ({ data }), true));
  expect(box.bytes).toBe('change'.length + 'other'.length);
  await Promise.all(sent);
  expect(box.bytes).toBe(0);
});

test('outbox/on-its-way: a list change is not merged with one that clients may have acted on already', async () => {
  const objects = env.TMCP_DURABLE_OBJECT;
  const [stored, answers] = [[] as string[], gate()];
  const binding = {
    idFromName: (name: string) => objects.idFromName(name),
    get: (id: DurableObjectId) => ({
      publish: async (batch: ShardBatch) => {
        const published = await (objects.get(id) as unknown as Shard).publish(batch);
        stored.push(...batch.messages.map(({ data }) => data));
        await answers.isOpen;
        return published;
      },
    }),
  } as unknown as DurableObjectNamespace;
  const box = outbox('outbox/on-its-way', binding);
  const sent = [box.send([0], () => ({ data: 'change' }), true)];
  await expect.poll(() => stored).toEqual(['change']);
  sent.push(box.send([0], () => ({ data: 'change' }), true));
  answers.open();
  await Promise.all(sent);
  expect(stored).toEqual(['change', 'change']);
});
