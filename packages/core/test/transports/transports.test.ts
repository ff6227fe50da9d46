import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InMemoryInfoSessionManager, InProcessHub, type SessionError } from '../../src/index.ts';
import { call, initialize, listen, OpenStream, request, respond } from './mcp-client.ts';
import { type McpProcess, mcpProcess, RESOURCE } from './mcp-process.ts';

const TOOLS = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';

// What the kit says of managers, seen through the transports as they are published: two servers on one hub.

let a: McpProcess;
let b: McpProcess;
let errors: SessionError[];

beforeEach(() => {
  errors = [];
  const onError = (error: SessionError): void => void errors.push(error);
  const hub = new InProcessHub();
  const info = new InMemoryInfoSessionManager({ onError });
  a = mcpProcess(hub, info, onError);
  b = mcpProcess(hub, info, onError);
});

afterEach(async () => {
  await Promise.all([a.close(), b.close()]);
  expect(errors).toEqual([]);
});

describe('HttpTransport', () => {
  async function open(process: McpProcess, sessionId: string): Promise<OpenStream> {
    const response = await respond(process.http, request('GET', '/mcp', sessionId));
    expect(response.status).toBe(200);
    return new OpenStream(response);
  }

  it('http/notifications: what one process causes reaches the stream that another holds', async () => {
    const sessionId = await initialize(a.http);
    const stream = await open(a, sessionId);
    b.server.changed('tools');
    await stream.receives(TOOLS);
    expect(stream.frames[0]).toMatchObject({ comment: 'connected' });
    b.server.changed('prompts');
    await stream.receives('notifications/prompts/list_changed');
    expect(stream.methods).toEqual([TOOLS, 'notifications/prompts/list_changed']);
  });

  it('http/info: what a client said to one process is known to the other', async () => {
    const sessionId = await initialize(a.http);
    const result = await call(b.http, sessionId, 'tools/call', { name: 'who-am-i', arguments: {} });
    expect(result.content).toEqual([{ type: 'text', text: 'client-7' }]);
  });

  it('http/subscriptions: a resource subscribed to on one process, changed on the other', async () => {
    const [subscriber, other] = [await initialize(a.http), await initialize(a.http)];
    const [stream, otherStream] = [await open(a, subscriber), await open(b, other)];
    await call(a.http, subscriber, 'resources/subscribe', { uri: RESOURCE });
    b.server.changed('resource', RESOURCE);
    expect((await stream.receives(UPDATED)).params).toMatchObject({ uri: RESOURCE });
    b.server.changed('tools');
    await otherStream.receives(TOOLS);
    expect(otherStream.methods).toEqual([TOOLS]);
  });

  it('http/conflict: a session has one stream, on whichever process', async () => {
    const sessionId = await initialize(a.http);
    const stream = await open(a, sessionId);
    expect((await respond(a.http, request('GET', '/mcp', sessionId))).status).toBe(409);
    expect((await respond(b.http, request('GET', '/mcp', sessionId))).status).toBe(409);
    await stream.cancel();
    b.server.changed('tools');
    const next = await open(b, sessionId);
    await next.receives(TOOLS);
    expect(next.methods).toEqual([TOOLS]);
  });

  it('http/at-once: of two GETs that arrive at once on two processes, one stream stays', async () => {
    const sessionId = await initialize(a.http);
    const responses = await Promise.all([a, b].map(({ http }) => respond(http, request('GET', '/mcp', sessionId))));
    const streams = responses.filter(({ status }) => status === 200).map((response) => new OpenStream(response));
    await Promise.race(streams.map((stream) => stream.ends()));
    const open = streams.filter(({ ended }) => !ended);
    expect(open).toHaveLength(1);
    b.server.changed('tools');
    await open[0]?.receives(TOOLS);
    expect(streams.flatMap(({ methods }) => methods)).toEqual([TOOLS]);
  });

  it('http/delete: a DELETE on one process ends the stream that another holds, and the info', async () => {
    const sessionId = await initialize(a.http);
    const stream = await open(a, sessionId);
    expect((await respond(b.http, request('DELETE', '/mcp', sessionId))).status).toBe(200);
    await stream.ends();
    const result = await call(a.http, sessionId, 'tools/call', { name: 'who-am-i', arguments: {} });
    expect(result.content).toEqual([{ type: 'text', text: 'unknown' }]);
    const next = await open(b, sessionId);
    a.server.changed('tools');
    await next.receives(TOOLS);
  });

  it('http/listen: a listen stream hears what another process changes, and ends with its result', async () => {
    const stream = await listen(a.http, { toolsListChanged: true, resourceSubscriptions: [RESOURCE] });
    await stream.receives('notifications/subscriptions/acknowledged');
    b.server.changed('prompts');
    b.server.changed('resource', RESOURCE);
    b.server.changed('tools');
    await stream.receives(TOOLS);
    await a.close();
    await stream.ends();
    expect(stream.methods).toEqual(['notifications/subscriptions/acknowledged', UPDATED, TOOLS, 'result of listen']);
    expect(a.subscriptionManager.stats().attached).toBe(0);
  });

  it('http/listen-cancelled: a listen stream whose client goes leaves nothing', async () => {
    const stream = await listen(a.http, { toolsListChanged: true });
    await stream.receives('notifications/subscriptions/acknowledged');
    expect(a.subscriptionManager.stats().attached).toBe(1);
    await stream.cancel();
    expect(a.subscriptionManager.stats().attached).toBe(0);
    b.server.changed('tools');
  });

  it('http/close: a process that stops ends its streams, and the next one goes on', async () => {
    const sessionId = await initialize(a.http);
    const stream = await open(a, sessionId);
    b.server.changed('tools');
    await stream.receives(TOOLS);
    await a.close();
    await stream.ends();
    b.server.changed('prompts');
    const next = await open(b, sessionId);
    await next.receives('notifications/prompts/list_changed');
    expect(next.methods).toEqual(['notifications/prompts/list_changed']);
  });
});

describe('SseTransport', () => {
  async function open(process: McpProcess, sessionId: string): Promise<OpenStream> {
    const response = await respond(process.sse, request('GET', `/sse?session_id=${sessionId}`));
    expect(response.status).toBe(200);
    return new OpenStream(response);
  }

  function post(process: McpProcess, sessionId: string, body: unknown): Promise<Response> {
    return respond(process.sse, request('POST', `/message?session_id=${sessionId}`, undefined, body));
  }

  it('sse/answers: an answer from one process comes over the stream that another holds', async () => {
    const stream = await open(a, 'one');
    const params = {
      protocolVersion: '2024-11-05',
      capabilities: {},
      clientInfo: { name: 'sse-client', version: '1' },
    };
    expect((await post(a, 'one', { jsonrpc: '2.0', id: 1, method: 'initialize', params })).status).toBe(202);
    await stream.receives('result of 1');
    expect(stream.frames[0]).toMatchObject({ event: 'endpoint' });
    const calling = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'who-am-i', arguments: {} } };
    expect((await post(b, 'one', calling)).status).toBe(202);
    const answer = await stream.receives('result of 2');
    expect(answer.result?.content).toEqual([{ type: 'text', text: 'sse-client' }]);
  });

  it('sse/large: an answer of 200 KiB and many small ones keep their order', async () => {
    const stream = await open(a, 'one');
    const ids = Array.from({ length: 20 }, (_, index) => index + 1);
    b.server.tool({ name: 'large', description: 'Says much' }, () => ({
      content: [{ type: 'text' as const, text: 'é'.repeat(100_000) }],
    }));
    for (const id of ids) {
      const name = id % 5 === 0 ? 'large' : 'who-am-i';
      await post(b, 'one', { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } });
    }
    await stream.receives('result of 20');
    const results = stream.methods.filter((name) => name.startsWith('result'));
    expect(results).toEqual(ids.map((id) => `result of ${id}`));
  });

  it('sse/notifications: what one process causes reaches the stream that another holds, once', async () => {
    const stream = await open(a, 'one');
    b.server.changed('tools');
    await stream.receives(TOOLS);
    b.server.changed('prompts');
    await stream.receives('notifications/prompts/list_changed');
    expect(stream.methods).toEqual([TOOLS, 'notifications/prompts/list_changed']);
  });

  it('sse/not-connected: a POST for a session without a stream is told so', async () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
    expect((await post(b, 'nobody', body)).status).toBe(500);
  });

  it('sse/delete: a DELETE on one process ends the stream that another holds', async () => {
    const stream = await open(a, 'one');
    expect((await respond(b.sse, request('DELETE', '/sse?session_id=one'))).ok).toBe(true);
    await stream.ends();
    const next = await open(b, 'one');
    a.server.changed('tools');
    await next.receives(TOOLS);
  });
});
