import { SyncLayer } from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { Notebook } from './notebook.ts';
import { ReconnectingStreams, withRequest } from './reconnecting-streams.ts';
import { server } from './server.ts';
import { sessions } from './sessions.ts';

// The runtime finds the classes of Durable Objects among the exports of the Worker.
export { Notebook, SyncLayer };

const {
  sessionManager: { streams, info },
  subscriptionManager,
} = sessions;

const transport = new HttpTransport(server, {
  path: '/mcp',
  // Pages of other sites, which a browser may have open, have no business here.
  allowedOrigins: [],
  // Without `ReconnectingStreams` this would be `...sessions`.
  sessionManager: { streams: new ReconnectingStreams(streams), info },
  subscriptionManager,
});

const worker: ExportedHandler = {
  fetch: async (request) =>
    (await withRequest(request as Request, () => transport.respond(request))) ??
    new Response('There is nothing here: try /mcp\n', { status: 404 }),
};

// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default worker;
