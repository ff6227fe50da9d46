import { expect, test } from 'vitest';
import { SseClient } from './sse-client.ts';

test('client/drop: what reaches a client after it has gone is not received', async () => {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
  });
  const write = (text: string): void => controller?.enqueue(new TextEncoder().encode(text));
  // Like the Workers of a test, it does not stop at once when its request is aborted.
  const client = await SseClient.open({ fetch: async () => new Response(body) }, '/stream');
  write('id: e.1\ndata: 1\n\n');
  await client.receives(1);
  client.drop();
  write('id: e.2\ndata: 2\n\n');
  await client.ends();
  expect(client.data).toEqual(['1']);
  expect(client.lastEventId).toBe('e.1');
});
