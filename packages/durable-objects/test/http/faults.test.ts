import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, numbers, publish, startWorkers, until, type Worker, type Workers } from './rig.ts';
import { SseClient } from './sse-client.ts';

let workers: Workers;
let a: Worker;
let b: Worker;

beforeAll(async () => {
  workers = await startWorkers();
  ({ a, b } = workers);
});
afterAll(() => workers.close());

async function open(worker: Worker, id: string, lastEventId?: string): Promise<SseClient> {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const client = await SseClient.open(worker, `/stream?id=${id}`, { headers });
  await client.connected();
  return client;
}

test('faults/hibernated: a message for a hibernated shard arrives on its stream', async () => {
  const client = await open(a, 'hibernated');
  await workers.evict('hibernated', 'hibernate');
  await publish(b, ['hibernated'], 1, 3);
  await client.receives(3);
  expect(client.data).toEqual(numbers(3));
  client.drop();
});

test('faults/evicted: what was sent while no socket existed arrives on the same response', async () => {
  const client = await open(a, 'evicted');
  await publish(b, ['evicted'], 1, 2);
  await client.receives(2);
  await workers.evict('evicted', 'close');
  await publish(b, ['evicted'], 3, 2);
  await client.receives(4);
  await publish(b, ['evicted'], 5, 1);
  await client.receives(5);
  expect(client.data).toEqual(numbers(5));
  expect(client.ended).toBe(false);
  client.drop();
});

test('faults/burst: 1,000 messages while the object is aborted: none lost, none twice, in order', async () => {
  const client = await open(a, 'burst');
  let aborts = 0;
  for (let from = 1; from <= 1_000; from += 50) {
    const sent = publish(b, ['burst'], from, 50);
    if (from % 200 === 151) {
      aborts += 1;
      expect(await ask(b, '/abort', { id: 'burst' })).toBe(true);
    }
    await sent;
  }
  await client.receives(1_000);
  expect(aborts).toBe(5);
  expect(client.data).toEqual(numbers(1_000));
  client.drop();
});

test('faults/drop: a client that drops resumes through the other Worker', async () => {
  const first = await open(a, 'drop');
  await publish(b, ['drop'], 1, 5);
  await first.receives(5);
  first.drop();
  await publish(b, ['drop'], 6, 5);
  const second = await open(b, 'drop', first.lastEventId);
  await second.receives(5);
  expect([...first.data, ...second.data]).toEqual(numbers(10));
  second.drop();
});

test('faults/replay-cut: a client that goes away half-way through its replay gets the rest from the other Worker', async () => {
  const first = await open(a, 'replay');
  await publish(b, ['replay'], 1, 1);
  await first.receives(1);
  first.drop();
  // More than a page has entries, and more than a page has bytes.
  await publish(b, ['replay'], 2, 1_200);
  await publish(b, ['replay'], 1_202, 100, 20_000);
  const second = await open(b, 'replay', first.lastEventId);
  await second.receives(700);
  second.drop();
  const third = await open(a, 'replay', second.lastEventId);
  await third.receives(1_301 - 1 - second.events.length);
  expect([...first.data, ...second.data, ...third.data]).toEqual(numbers(1_301));
  third.drop();
});

test('faults/late-cancel: a stream that is cancelled late, before or after its successor opens, ends no session', async () => {
  const lateCancel = async (successor: Worker, noticed: boolean): Promise<void> => {
    const id = `late-${successor === a ? 'a' : 'b'}-${noticed}`;
    const first = await open(a, id);
    await publish(b, [id], 1, 1);
    await first.receives(1);
    first.drop();
    // A client that has gone is noticed when something is written to it: a keep-alive, or the next message.
    if (noticed) await until(async () => !(await ask(b, '/has', { id })), 'a free session');
    const second = await open(successor, id, first.lastEventId);
    await publish(b, [id], 2, 1);
    await second.until(() => second.text.split(': keepalive').length > 2, 'two keep-alives');
    await publish(b, [id], 3, 1);
    await second.receives(2);
    expect([...first.data, ...second.data]).toEqual(numbers(3));
    expect(second.ended).toBe(false);
    // Whereas a DELETE still ends it.
    await ask(a, '/delete', { id });
    await second.ends();
  };
  await Promise.all([lateCancel(a, false), lateCancel(a, true), lateCancel(b, false), lateCancel(b, true)]);
});

test('faults/gone: a client that has gone is noticed, and does not lock its session', async () => {
  const client = await open(a, 'gone');
  client.drop();
  await until(async () => !(await ask(b, '/has', { id: 'gone' })), 'a free session');
});

test('faults/takeover: a second stream through the other Worker ends the first', async () => {
  const first = await open(a, 'takeover');
  await publish(b, ['takeover'], 1, 2);
  await first.receives(2);
  const second = await open(b, 'takeover');
  await first.ends();
  await publish(a, ['takeover'], 3, 2);
  await second.receives(2);
  expect([...first.data, ...second.data]).toEqual(numbers(4));
  second.drop();
});

test('faults/delete: a DELETE at the other Worker ends the stream', async () => {
  const client = await open(a, 'delete');
  await publish(b, ['delete'], 1, 1);
  await ask(b, '/delete', { id: 'delete' });
  await client.ends();
  expect(client.data).toEqual(['1']);
  expect(await ask(a, '/has', { id: 'delete' })).toBe(false);
});

test('faults/delete-quiet: a quiet stream that is ended by a DELETE ends in good order', async () => {
  const client = await open(a, 'quiet');
  await ask(b, '/delete', { id: 'quiet' });
  await client.ends();
  expect(client.broken).toBe(false);
});

test('faults/broadcast: 2,000 streams over all shards get a broadcast once', { timeout: 240_000 }, async () => {
  const clients: SseClient[] = [];
  while (clients.length < 2_000) {
    const next = Array.from({ length: 100 }, (_, index) => clients.length + index);
    clients.push(...(await Promise.all(next.map((number) => open(number % 2 ? a : b, `many-${number}&quiet`)))));
  }
  await publish(b, [], 1, 2);
  await Promise.all(clients.map((client) => client.receives(2)));
  expect(clients.filter((client) => client.data.join() !== '1,2')).toEqual([]);
  for (const client of clients) client.drop();
});
