import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestHarness } from 'wrangler';
import { ask, numbers, publish, type Worker } from './rig.ts';
import { SseClient } from './sse-client.ts';

/** As the README says for older dates. Before 2026-04-07 the runtime leaves answering close frames to the object. */
const harness = createTestHarness({
  root: fileURLToPath(new URL('.', import.meta.url)),
  workers: [
    {
      config: {
        name: 'old',
        main: './worker-a.ts',
        compatibility_date: '2024-12-01',
        compatibility_flags: ['nodejs_als'],
        durable_objects: { bindings: [{ name: 'TMCP_DURABLE_OBJECT', class_name: 'SyncLayer' }] },
        migrations: [{ tag: 'v1', new_sqlite_classes: ['SyncLayer'] }],
      },
    },
  ],
});
let worker: Worker;

beforeAll(async () => {
  await harness.listen();
  worker = harness.getWorker('old') as unknown as Worker;
});
afterAll(() => harness.close());

async function open(lastEventId?: string): Promise<SseClient> {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const client = await SseClient.open(worker, '/stream?id=s', { headers });
  await client.connected();
  return client;
}

test('old-runtime/streams: a Worker of an old compatibility date delivers, resumes and ends streams', async () => {
  const first = await open();
  await publish(worker, ['s'], 1, 2);
  await first.receives(2);
  first.drop();
  await publish(worker, ['s'], 3, 2);
  const second = await open(first.lastEventId);
  await second.receives(2);
  expect([...first.data, ...second.data]).toEqual(numbers(4));
  // A takeover, then a DELETE: both close sockets.
  const third = await open();
  await second.ends();
  await publish(worker, [], 5, 1);
  await third.receives(1);
  await ask(worker, '/delete', { id: 's' });
  await third.ends();
  expect(third.data).toEqual(['5']);
  expect(await ask(worker, '/has', { id: 's' })).toBe(false);
});
