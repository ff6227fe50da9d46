import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { McpServer } from 'tmcp';
import { tool } from 'tmcp/utils';
import type { GenericSchema } from 'valibot';
import type { InMemoryInfoSessionManager, InProcessHub, SessionError } from '../../src/index.ts';
import { InMemoryStreamSessionManager, InMemorySubscriptionManager } from '../../src/index.ts';

type Server = McpServer<GenericSchema>;

export type McpProcess = {
  readonly server: Server;
  readonly streams: InMemoryStreamSessionManager;
  readonly subscriptionManager: InMemorySubscriptionManager;
  readonly http: HttpTransport;
  readonly sse: SseTransport;
  close(): Promise<void>;
};

export const RESOURCE = 'test://resource';

/** What one process of a deployment runs: a server with both transports, each on a namespace of its own. */
export function mcpProcess(
  hub: InProcessHub,
  info: InMemoryInfoSessionManager,
  onError: (error: SessionError) => void,
): McpProcess {
  const server = createServer();
  const streams = new InMemoryStreamSessionManager({ hub, onError });
  const sseStreams = new InMemoryStreamSessionManager({ hub, namespace: 'sse', onError });
  const subscriptionManager = new InMemorySubscriptionManager({ hub, onError });
  const http = new HttpTransport(server, { path: '/mcp', sessionManager: { streams, info }, subscriptionManager });
  const sse = new SseTransport(server, {
    path: '/sse',
    endpoint: '/message',
    sessionManager: { streams: sseStreams, info },
  });
  // Registered behind the transports, as most servers do: each of these is broadcast.
  addTools(server);
  return {
    server,
    streams,
    subscriptionManager,
    http,
    sse,
    close: async () => {
      await subscriptionManager.close();
      await Promise.all([streams.close(), sseStreams.close(), http.close()]);
    },
  };
}

function createServer(): Server {
  return new McpServer(
    { name: 'test', version: '1.0.0', description: 'A server for tests' },
    {
      adapter: new ValibotJsonSchemaAdapter(),
      capabilities: {
        logging: {},
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        tools: { listChanged: true },
      },
    },
  );
}

function addTools(server: Server): void {
  server.tool({ name: 'who-am-i', description: 'Names the client' }, () =>
    tool.text(server.ctx.sessionInfo?.clientInfo?.name ?? 'unknown'),
  );
  server.resource({ name: 'resource', description: 'A resource that changes', uri: RESOURCE }, () => ({
    contents: [{ uri: RESOURCE, text: 'text' }],
  }));
}
