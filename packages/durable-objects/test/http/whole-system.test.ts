import { afterAll, beforeAll, expect, test } from 'vitest';
import { call, INITIALIZE, listen, postSse } from './mcp.ts';
import { ask, startWorkers, until, type Worker, type Workers } from './rig.ts';
import { SseClient } from './sse-client.ts';

let workers: Workers;
let a: Worker;
let b: Worker;

beforeAll(async () => {
  workers = await startWorkers();
  ({ a, b } = workers);
});
afterAll(() => workers.close());

async function connect(worker: Worker, id: string): Promise<SseClient> {
  const client = await SseClient.open(worker, '/mcp', { headers: { 'mcp-session-id': id } });
  await client.connected();
  return client;
}
const update = (worker: Worker, uri: string): Promise<unknown> =>
  call(worker, 'updater', 'tools/call', { name: 'update', arguments: { uri } });
const subscribers = async (uri: string): Promise<string[]> => (await ask<string[]>(b, '/subscribers', { uri })).sort();

test('workers/notification: what is caused at one Worker arrives over a stream that the other holds', async () => {
  const client = await connect(a, 'n1');
  const answer = await call(b, 'n1', 'tools/call', { name: 'change' });
  expect(answer).toHaveProperty('result');
  await client.hears('tools/list_changed');
  expect(client.text.startsWith(': connected\n\n')).toBe(true);
  expect(client.events[0]?.id).toMatch(/^[a-z0-9]{8}\.[a-z0-9]+$/);
  client.drop();
});

test('workers/updated: the notification of a POST that has ended is sent, to the subscribers of that URI', async () => {
  const [plain, longer] = [await connect(a, 'u'), await connect(a, 'u1')];
  expect(await call(b, 'u', 'resources/subscribe', { uri: 'mem://a' })).toHaveProperty('result');
  expect(await call(b, 'u1', 'resources/subscribe', { uri: 'mem://ab' })).toHaveProperty('result');
  // The transports do not wait until a subscription is stored.
  await until(async () => (await subscribers('mem://ab')).length > 0, 'the subscription to mem://ab');
  await until(async () => (await subscribers('mem://a')).length > 0, 'the subscription to mem://a');
  await update(b, 'mem://a');
  await update(b, 'mem://a:b');
  await update(b, 'mem://ab');
  await Promise.all([plain.hears('"mem://a"'), longer.hears('"mem://ab"')]);
  // What comes last shows that nothing else was on its way.
  await call(b, 'u', 'tools/call', { name: 'change' });
  for (const client of [plain, longer]) await client.hears('tools/list_changed');
  const uris = ({ data }: SseClient): unknown[] => data.flatMap((text) => JSON.parse(text).params?.uri ?? []);
  expect([uris(plain), uris(longer)]).toEqual([['mem://a'], ['mem://ab']]);
  for (const client of [plain, longer]) client.drop();
});

test('workers/subscribers: 1,200 sessions whose ids share a prefix subscribe, and are all notified', async () => {
  await ask(a, '/subscribe', { prefix: 's', count: '1200', uri: 'mem://a:b' });
  await ask(b, '/subscribe', { prefix: 's1', count: '3', uri: 'mem://a' });
  const expected = Array.from({ length: 1_200 }, (_, index) => `s${index}`).sort();
  expect(await subscribers('mem://a:b')).toEqual(expected);
  expect((await subscribers('mem://a')).filter((id) => id.startsWith('s'))).toEqual(['s10', 's11', 's12']);
  const ids = ['s1', 's10', 's100', 's1000', 's1199'];
  const clients = await Promise.all(ids.map((id, index) => connect(index % 2 ? a : b, id)));
  await update(b, 'mem://a:b');
  await Promise.all(clients.map((client) => client.hears('"mem://a:b"')));
  for (const client of clients) client.drop();
});

test('workers/fresh-reads: what was read for a request that has ended is not answered to a later one', async () => {
  // The row that comes holds all fields, of which only one is taken.
  expect(await ask(a, '/client-info', { id: 'fresh' })).toBe(null);
  await ask(b, '/set-log-level', { id: 'fresh', level: 'debug' });
  expect(await ask(a, '/log-level', { id: 'fresh' })).toBe('debug');
});

test('workers/listen: a listen stream of one Worker hears what is changed at the other, in order', async () => {
  const filters = { toolsListChanged: true, resourceSubscriptions: ['mem://a'] };
  const [first, second] = [await listen(a, filters), await listen(b, filters)];
  for (const client of [first, second]) await client.hears('subscriptions/acknowledged');
  await update(b, 'mem://ab');
  await update(b, 'mem://a');
  await call(a, 'changer', 'tools/call', { name: 'change' });
  for (const client of [first, second]) {
    await client.hears('tools/list_changed');
    const methods = client.data.map((text) => JSON.parse(text).method);
    expect(methods).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/resources/updated',
      'notifications/tools/list_changed',
    ]);
    client.drop();
  }
});

test('workers/sse-transport: answers to POSTs at one Worker come over the stream that the other holds', async () => {
  const client = await SseClient.open(a, '/sse');
  await client.receives(1);
  const [endpoint] = client.events;
  expect(endpoint).toMatchObject({ event: 'endpoint', id: undefined });
  const path = endpoint?.data ?? '';
  expect(await postSse(b, path, { id: 1, method: 'initialize', params: INITIALIZE })).toBe(202);
  await client.hears('"protocolVersion"');
  expect(await postSse(b, path, { id: 2, method: 'tools/call', params: { name: 'change' } })).toBe(202);
  await client.hears('"id":2');
  // The two transports of one server stand in two namespaces: a change is heard once.
  await client.hears('tools/list_changed');
  expect(client.data.filter((data) => data.includes('tools/list_changed'))).toHaveLength(1);
  client.drop();
});

test('workers/delete: a DELETE at one Worker ends the stream that the other holds, and forgets the session', async () => {
  await call(b, 'd1', 'initialize', INITIALIZE);
  await until(async () => (await ask(a, '/client-info', { id: 'd1' })) !== null, 'the client info');
  const client = await connect(a, 'd1');
  const deleted = await b.fetch('http://test/mcp', { method: 'DELETE', headers: { 'mcp-session-id': 'd1' } });
  expect(deleted.status).toBe(200);
  await client.ends();
  expect(await ask(a, '/has', { id: 'd1' })).toBe(false);
  expect(await ask(a, '/client-info', { id: 'd1' })).toBe(null);
});
