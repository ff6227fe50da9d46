import { isDeepStrictEqual } from 'node:util';
import type { InfoSessionManager, SessionError, StreamSessionManager } from '@tmcp/session-manager';
import {
  PostgresInfoSessionManager,
  PostgresStreamSessionManager,
  PostgresSubscriptionManager,
} from '@tmcp/session-manager-postgres';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { type KitPostgres, type KitRedis, kitPostgres, kitRedis, waitFor } from 'test-support';
import { McpServer } from 'tmcp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { call, initialize, listen, OpenStream, request, respond } from '../../core/test/transports/mcp-client.ts';
import { RedisInfoSessionManager, RedisStreamSessionManager, RedisSubscriptionManager } from '../src/index.ts';

const TOOLS = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';
const RESOURCE = 'test://resource';

let redis: KitRedis;
let postgres: KitPostgres;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([kitRedis(), kitPostgres()]);
});
afterAll(() => Promise.all([redis.stop(), postgres.stop()]));

type Closed = { close(): Promise<void> };
type Managers = {
  readonly streams: StreamSessionManager & Closed;
  readonly sseStreams: StreamSessionManager & Closed;
  readonly info: InfoSessionManager & Closed;
  readonly subscriptionManager: RedisSubscriptionManager | PostgresSubscriptionManager;
};
type Reporting = { readonly namespace: string; readonly onError: (error: SessionError) => void };

/** Managers of one process, as two backends share the work. */
const pairs: Readonly<Record<string, (reporting: Reporting) => Managers>> = {
  'streams on Redis, info on PostgreSQL': ({ namespace, onError }) => ({
    streams: new RedisStreamSessionManager({ url: redis.url, namespace, onError }),
    sseStreams: new RedisStreamSessionManager({ url: redis.url, namespace: `${namespace}/sse`, onError }),
    info: new PostgresInfoSessionManager({ connectionString: postgres.url, namespace, onError }),
    subscriptionManager: new RedisSubscriptionManager({ url: redis.url, namespace: `${namespace}/listen`, onError }),
  }),
  'streams on PostgreSQL, info on Redis': ({ namespace, onError }) => {
    const connectionString = postgres.url;
    return {
      streams: new PostgresStreamSessionManager({ connectionString, namespace, onError }),
      sseStreams: new PostgresStreamSessionManager({ connectionString, namespace: `${namespace}/sse`, onError }),
      info: new RedisInfoSessionManager({ url: redis.url, namespace, onError }),
      subscriptionManager: new PostgresSubscriptionManager({
        connectionString,
        namespace: `${namespace}/listen`,
        onError,
      }),
    };
  },
};

type McpProcess = {
  readonly server: McpServer<undefined>;
  readonly streams: StreamSessionManager;
  readonly sseStreams: StreamSessionManager;
  readonly info: InfoSessionManager;
  readonly http: HttpTransport;
  readonly sse: SseTransport;
  close(): Promise<void>;
};

/** What one process of a deployment runs: a server with both transports, each on a namespace of its own. */
function mcpProcess({ streams, sseStreams, info, subscriptionManager }: Managers): McpProcess {
  const server = new McpServer(
    { name: 'test', version: '1.0.0', description: 'A server for tests' },
    {
      adapter: undefined,
      capabilities: {
        logging: {},
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        tools: { listChanged: true },
      },
    },
  );
  // Before there is a transport to tell of it.
  server.tool({ name: 'who-am-i', description: 'Names the client' }, () => ({
    content: [{ type: 'text', text: server.ctx.sessionInfo?.clientInfo?.name ?? 'unknown' }],
  }));
  server.resource({ name: 'resource', description: 'A resource that changes', uri: RESOURCE }, () => ({
    contents: [{ uri: RESOURCE, text: 'text' }],
  }));
  const http = new HttpTransport(server, { path: '/mcp', sessionManager: { streams, info }, subscriptionManager });
  const sse = new SseTransport(server, {
    path: '/sse',
    endpoint: '/message',
    sessionManager: { streams: sseStreams, info },
  });
  return {
    server,
    streams,
    sseStreams,
    info,
    http,
    sse,
    close: async () => {
      await subscriptionManager.close();
      await Promise.all([streams.close(), sseStreams.close(), info.close(), http.close()]);
    },
  };
}

/** Opens a stream, which another process knows of. */
async function open(process: McpProcess, sessionId: string, other?: McpProcess): Promise<OpenStream> {
  const response = await respond(process.http, request('GET', '/mcp', sessionId));
  expect(response.status).toBe(200);
  if (other) await waitFor(async () => other.streams.has(sessionId));
  return new OpenStream(response);
}

/** What the client said is stored behind the answer to it, so another process may know of it a moment later. */
async function isKnown(process: McpProcess, sessionId: string, name: string): Promise<void> {
  await waitFor(async () => {
    const { content } = await call(process.http, sessionId, 'tools/call', { name: 'who-am-i', arguments: {} });
    return isDeepStrictEqual(content, [{ type: 'text', text: name }]);
  });
}

describe.each(Object.entries(pairs))('%s', (name, managers) => {
  let a: McpProcess;
  let b: McpProcess;
  let errors: SessionError[];
  let round = 0;

  beforeEach(() => {
    errors = [];
    round += 1;
    const reporting: Reporting = {
      namespace: `${name} ${round}`,
      // How the server of the tests is set up is not what they are about.
      onError: (error) => void (error.code === 'configuration' || errors.push(error)),
    };
    [a, b] = [mcpProcess(managers(reporting)), mcpProcess(managers(reporting))];
  });
  afterEach(async () => {
    await Promise.all([a.close(), b.close()]);
    // A transport that was still asking who subscribed finds its streams closed.
    expect(errors.filter(({ code }) => code !== 'closed')).toEqual([]);
  });

  it('mixed/notifications: what one process causes reaches the stream that another holds', async () => {
    const stream = await open(a, await initialize(a.http), b);
    b.server.changed('tools');
    await stream.receives(TOOLS);
    b.server.changed('prompts');
    await stream.receives('notifications/prompts/list_changed');
    expect(stream.methods).toEqual([TOOLS, 'notifications/prompts/list_changed']);
  });

  it('mixed/info: what a client said to one process is known to the other', async () => {
    const sessionId = await initialize(a.http);
    await isKnown(b, sessionId, 'client-7');
  });

  it('mixed/subscriptions: a resource subscribed to on one process, changed on the other', async () => {
    const [subscriber, other] = [await initialize(a.http), await initialize(a.http)];
    const [stream, otherStream] = [await open(a, subscriber, b), await open(b, other, a)];
    await call(b.http, subscriber, 'resources/subscribe', { uri: RESOURCE });
    b.server.changed('resource', RESOURCE);
    expect((await stream.receives(UPDATED)).params).toMatchObject({ uri: RESOURCE });
    a.server.changed('tools');
    await Promise.all([stream.receives(TOOLS), otherStream.receives(TOOLS)]);
    expect(otherStream.methods).toEqual([TOOLS]);
  });

  it('mixed/conflict: a session has one stream, and moves when its process stops', async () => {
    const sessionId = await initialize(a.http);
    const stream = await open(a, sessionId, b);
    expect((await respond(b.http, request('GET', '/mcp', sessionId))).status).toBe(409);
    await a.close();
    await stream.ends();
    b.server.changed('tools');
    const next = await open(b, sessionId);
    await next.receives(TOOLS);
    await isKnown(b, sessionId, 'client-7');
  });

  it('mixed/delete: a DELETE on one process ends the stream that another holds, and the info', async () => {
    const sessionId = await initialize(a.http);
    const stream = await open(a, sessionId, b);
    await call(a.http, sessionId, 'resources/subscribe', { uri: RESOURCE });
    expect((await respond(b.http, request('DELETE', '/mcp', sessionId))).status).toBe(200);
    await stream.ends();
    await isKnown(a, sessionId, 'unknown');
    const next = await open(b, sessionId, a);
    a.server.changed('resource', RESOURCE);
    a.server.changed('tools');
    await next.receives(TOOLS);
    expect(next.methods).toEqual([TOOLS]);
  });

  it('mixed/listen: a listen stream hears what another process changes, and ends with its result', async () => {
    const stream = await listen(a.http, { toolsListChanged: true, resourceSubscriptions: [RESOURCE] });
    await stream.receives('notifications/subscriptions/acknowledged');
    b.server.changed('prompts');
    b.server.changed('resource', RESOURCE);
    b.server.changed('tools');
    // Who subscribed to the resource is asked first, which takes its time.
    await Promise.all([stream.receives(TOOLS), stream.receives(UPDATED)]);
    await a.close();
    await stream.ends();
    expect(stream.methods[0]).toBe('notifications/subscriptions/acknowledged');
    expect(stream.methods.slice(1, -1).sort()).toEqual([UPDATED, TOOLS].sort());
    expect(stream.methods.at(-1)).toBe('result of listen');
  });

  it('mixed/sse: answers of one process come over the stream that another holds, and know the client', async () => {
    const response = await respond(a.sse, request('GET', '/sse?session_id=one'));
    const stream = new OpenStream(response);
    await waitFor(async () => b.sseStreams.has('one'));
    const post = (process: McpProcess, body: object): Promise<Response> =>
      respond(process.sse, request('POST', '/message?session_id=one', undefined, { jsonrpc: '2.0', ...body }));
    const params = {
      protocolVersion: '2024-11-05',
      capabilities: {},
      clientInfo: { name: 'sse-client', version: '1' },
    };
    expect((await post(a, { id: 1, method: 'initialize', params })).status).toBe(202);
    await stream.receives('result of 1');
    await waitFor(() => b.info.getClientInfo('one'));
    const calling = { id: 2, method: 'tools/call', params: { name: 'who-am-i', arguments: {} } };
    expect((await post(b, calling)).status).toBe(202);
    const answer = await stream.receives('result of 2');
    expect(answer.result?.content).toEqual([{ type: 'text', text: 'sse-client' }]);
    expect((await respond(b.sse, request('DELETE', '/sse?session_id=one'))).ok).toBe(true);
    await stream.ends();
  });
});
