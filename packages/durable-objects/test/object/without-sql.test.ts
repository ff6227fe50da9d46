import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test, vi } from 'vitest';
import { DurableObjectInfoSessionManager, DurableObjectStreamSessionManager } from '../../src/index.ts';

const frame = (label: string): string =>
  `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'x', params: { label } })}\n\n`;

test('without-sql/said-once: what is missing is said in one line, however many objects have that class', async () => {
  const said = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const streams = new DurableObjectStreamSessionManager({ binding: 'WITHOUT_SQL' });
  await streams.publish(undefined, frame('to every shard'));
  expect(said.mock.calls).toEqual([[expect.stringMatching(/"new_classes" and has no SQL.*"new_sqlite_classes"/)]]);
  said.mockRestore();
});

test('without-sql/streams: a class without SQL delivers to open streams, without ids', async () => {
  const streams = new DurableObjectStreamSessionManager({ binding: 'WITHOUT_SQL' });
  const client = new TestClient('s');
  const first = await client.connect(streams);
  await client.drain(streams);
  await streams.publish(['s'], frame('1'));
  await streams.publish(undefined, frame('2'));
  await client.hasExactly(streams, ['1', '2']);
  expect(await streams.has('s')).toBe(true);
  expect(first.lastEventId).toBe(undefined);
  await client.connect(streams);
  await first.ends();
  await streams.delete('s');
  await client.stream.ends();
  expect(await streams.has('s')).toBe(false);
});

test('without-sql/info: session info refuses, and says so', async () => {
  const reported: string[] = [];
  const options = { binding: 'WITHOUT_SQL', onError: ({ code }: { code: string }): void => void reported.push(code) };
  const info = new DurableObjectInfoSessionManager(options);
  await expect(info.getClientInfo('s')).rejects.toMatchObject({ code: 'refused' });
  expect(await info.getSubscriptions('mem://a')).toEqual([]);
  expect(reported).toEqual(['refused']);
  expect((await info.health()).ok).toBe(false);
});
