import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { HttpTransport } from '@tmcp/transport-http';
import { McpServer } from 'tmcp';
import { tool } from 'tmcp/utils';
import type { AuthorizationServer } from './authorization-server.ts';
import { type Listening, listen } from './listen.ts';

/** What a tool knows of the request. */
type RequestContext = { readonly user: string };

export type ProtectedServer = Listening & {
  /** Of MCP. */
  readonly url: string;
};

/** An MCP server that answers nobody without a token. */
export async function startProtectedServer(authorization: AuthorizationServer): Promise<ProtectedServer> {
  const server = new McpServer(
    { name: 'example-protected', version: '1.0.0', description: 'Knows its users' },
    { adapter: new ValibotJsonSchemaAdapter(), capabilities: { tools: {} } },
  ).withContext<RequestContext>();
  server.tool({ name: 'whoami', description: 'The user that the token belongs to' }, () =>
    tool.text(server.ctx.custom?.user ?? 'nobody'),
  );
  const http = new HttpTransport(server, { path: '/mcp', allowedOrigins: [] });

  const listening = await listen(async (request) => {
    const { origin, pathname } = new URL(request.url);
    if (pathname.startsWith('/.well-known/oauth-protected-resource')) {
      return Response.json({ resource: `${origin}/mcp`, authorization_servers: [authorization.issuer] });
    }
    const user = authorization.userOf(request);
    if (user === undefined) {
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
      const challenge = `Bearer error="invalid_token", resource_metadata="${metadata}"`;
      return new Response(null, { status: 401, headers: { 'www-authenticate': challenge } });
    }
    return (await http.respond(request, { user })) ?? new Response(null, { status: 404 });
  });
  return { ...listening, url: `${listening.origin}/mcp` };
}
