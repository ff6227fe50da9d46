import { env } from 'cloudflare:workers';
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import type { LogLevel, StreamSessionManager } from '@tmcp/session-manager';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { McpServer } from 'tmcp';
import * as v from 'valibot';
import { hash } from '../../src/hash.ts';
import { durableObjectSessions } from '../../src/index.ts';

const server = new McpServer(
  { name: 'test', version: '1.0.0', description: 'a server in two Workers' },
  {
    adapter: new ValibotJsonSchemaAdapter(),
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } },
  },
);
// As in the README, at module scope: nothing may happen before a request.
const sessions = durableObjectSessions({ keepAliveMs: 1_000 });
/** For very many streams, whose keep-alives would be all that the machine has time for. */
const { streams: quietStreams } = durableObjectSessions().sessionManager;
const transport = new HttpTransport(server, { path: '/mcp', ...sessions });
const { sessionManager } = sessions.namespace('sse');
const sseTransport = new SseTransport(server, { path: '/sse', endpoint: '/message', sessionManager });
const { streams, info } = sessions.sessionManager;

server.tool({ name: 'change', description: 'changes the list of tools' }, () => {
  server.changed('tools');
  return { content: [] };
});
server.tool({ name: 'update', description: 'changes a resource', schema: v.object({ uri: v.string() }) }, ({ uri }) => {
  server.changed('resource', uri);
  return { content: [] };
});
for (const uri of ['mem://a', 'mem://ab', 'mem://a:b']) {
  server.resource({ name: uri, description: 'a text', uri }, () => ({ contents: [{ uri, text: 'text' }] }));
}

/** What tests ask of the managers directly. */
const QUESTIONS: Record<string, (query: URLSearchParams) => Promise<unknown>> = {
  '/publish': async (query) => {
    const to = JSON.parse(query.get('to') ?? '[]') as string[];
    const [from, count] = [Number(query.get('from')), Number(query.get('count'))];
    const padding = ' '.repeat(Number(query.get('padding')));
    const sent = Array.from({ length: count }, (_, index) =>
      streams.publish(
        to.length > 0 ? to : undefined,
        `event: message\n${padding && `: ${padding}\n`}data: ${from + index}\n\n`,
      ),
    );
    await Promise.all(sent);
    return sent.length;
  },
  '/has': (query) => streams.has(query.get('id') ?? ''),
  '/delete': (query) => streams.delete(query.get('id') ?? '').then(() => true),
  '/set-log-level': async (query) => {
    await info.setLogLevel(query.get('id') ?? '', query.get('level') as LogLevel);
    return true;
  },
  '/log-level': (query) => info.getLogLevel(query.get('id') ?? '').catch(() => null),
  '/client-info': (query) => info.getClientInfo(query.get('id') ?? '').catch(() => null),
  '/subscribe': async (query) => {
    const ids = Array.from({ length: Number(query.get('count')) }, (_, index) => `${query.get('prefix')}${index}`);
    await Promise.all(ids.map((id) => info.addSubscription(id, query.get('uri') ?? '')));
    return ids.length;
  },
  '/subscribers': (query) => info.getSubscriptions(query.get('uri') ?? ''),
  '/abort': async (query) => {
    const objects = (env as unknown as { TMCP_DURABLE_OBJECT: DurableObjectNamespace }).TMCP_DURABLE_OBJECT;
    const shard = objects.getByName(`v2/8/${hash(query.get('id') ?? '') % 8}/default`);
    return (shard as unknown as { breakDown(): Promise<void> }).breakDown().then(
      () => false,
      () => true,
    );
  },
};

/** A stream as the transports open it, but with the `Last-Event-ID` that they leave out. */
function openStream(request: Request, id: string, manager: StreamSessionManager): Response {
  const lastEventId = request.headers.get('last-event-id');
  const body = new ReadableStream({
    start: async (controller) => {
      await manager.create(id, controller, lastEventId === null ? {} : { lastEventId });
      controller.enqueue(new TextEncoder().encode(': connected\n\n'));
    },
    cancel: () => manager.delete(id),
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** The MCP endpoints, and what only tests need. */
export async function respond(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const question = QUESTIONS[pathname];
  if (question) return Response.json(await question(searchParams));
  if (pathname === '/stream') {
    return openStream(request, searchParams.get('id') ?? '', searchParams.has('quiet') ? quietStreams : streams);
  }
  return (
    (await transport.respond(request)) ??
    (await sseTransport.respond(request)) ??
    new Response('not found', { status: 404 })
  );
}
