/**
 * One process of the cluster: `node src/serve.ts --name A --port 3001 --backend postgres --notebook notes.jsonl`.
 * Start as many as you like. They need nothing of each other but the backend.
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { createAdaptorServer } from '@hono/node-server';
import type { SessionSet } from '@tmcp/session-manager';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { backendName, backends } from './backends.ts';
import { Notebook } from './notebook.ts';
import { ReconnectingStreams, withRequest } from './reconnecting-streams.ts';
import { createServer, type RequestContext } from './server.ts';

/** How long answers may still take once this process is told to stop. */
const GRACE_MS = 2_000;

const { values: options } = parseArgs({
  options: {
    name: { type: 'string', default: String(process.pid) },
    port: { type: 'string', default: '0' },
    backend: { type: 'string', default: 'postgres' },
    notebook: { type: 'string', default: 'notes.jsonl' },
  },
});

const backend = backends[backendName(options.backend)];
const address = process.env[backend.variable];
if (!address) throw new Error(`Set ${backend.variable} to the address of the backend`);

const sessions: SessionSet = backend.sessions(address);
// Each transport hears every broadcast of the server. In one namespace each client would get them twice.
const sseSessions = sessions.namespace('sse');

const server = createServer(options.name, new Notebook(options.notebook));
// Pages of other sites, which a browser may have open on this machine, have no business here.
const http = new HttpTransport(server, { path: '/mcp', allowedOrigins: [], ...forTransport(sessions) });
const sse = new SseTransport(server, {
  path: '/sse',
  endpoint: '/message',
  allowedOrigins: [],
  ...forTransport(sseSessions),
});

/** Options of a transport. Without `ReconnectingStreams` this would be the set itself: `{ path: '/mcp', ...sessions }`. */
function forTransport({ sessionManager: { streams, info }, subscriptionManager }: SessionSet) {
  return { sessionManager: { streams: new ReconnectingStreams(streams), info }, subscriptionManager };
}

/** What tools can do for the client that calls them, with the managers of the transport that it came by. */
function contextOf({ sessionManager: { streams, info } }: SessionSet): RequestContext {
  return {
    notify: (sessionId, method, params) =>
      streams.publish([sessionId], `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method, params })}\n\n`),
    isSubscribed: async (sessionId, uri) => (await info.getSubscriptions(uri)).includes(sessionId),
  };
}

const httpContext = contextOf(sessions);
const sseContext = contextOf(sseSessions);

async function answer(request: Request): Promise<Response> {
  if (new URL(request.url).pathname === '/health') return health();
  const response = await withRequest(
    request,
    async () => (await http.respond(request, httpContext)) ?? (await sse.respond(request, sseContext)),
  );
  return response ?? new Response('There is nothing here: try /mcp, /sse or /health\n', { status: 404 });
}

/** For the load balancer: a process whose backend does not answer should get no requests. */
async function health(): Promise<Response> {
  const { ok, error } = await sessions.health();
  return Response.json({ ok, process: options.name, error: error?.code }, { status: ok ? 200 : 503 });
}

// It speaks HTTP/1 unless told otherwise.
const listener = createAdaptorServer({
  fetch: async (request) => {
    const response = await answer(request);
    // Only to be able to see it from outside.
    response.headers.set('x-served-by', options.name);
    return response;
  },
}) as Server;
listener.listen(Number(options.port), '127.0.0.1');
await once(listener, 'listening');
const { port } = listener.address() as AddressInfo;
console.log(`Process ${options.name} listens on http://127.0.0.1:${port}`);
process.send?.({ port });

let stopping = false;

/** Lets every client know, and leaves nothing for others to clean up. Then nothing holds the process any more. */
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  listener.close();
  // Listen streams end with their result, so that clients know that this was meant; notification streams end, and their
  // sessions are given back, so that they continue elsewhere at once; what is still to be stored is stored.
  await sessions.close();
  setTimeout(() => listener.closeAllConnections(), GRACE_MS).unref();
  if (process.connected) process.disconnect();
}

process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
// The process that started this one is gone.
process.on('disconnect', () => void stop());
