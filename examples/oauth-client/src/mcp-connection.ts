import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { SessionStore } from '@tmcp/session-store';
import { refreshingFetch } from './refreshing-fetch.ts';
import { type SessionKey, StoredProvider } from './stored-provider.ts';

/** A transport of the official client, with everything it has to remember in the store. */
export function transportOf(store: SessionStore, key: SessionKey, serverUrl: string): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(serverUrl), {
    authProvider: new StoredProvider(store, key),
    fetch: refreshingFetch(store, key),
  });
}

/** Connected to an MCP server in the name of a user. */
export class McpConnection implements AsyncDisposable {
  /** @throws UnauthorizedError when the user has to be asked; the session then says where (`authUrl`) */
  static async open(store: SessionStore, key: SessionKey): Promise<McpConnection> {
    const session = await store.get(key.userId, key.sessionId);
    if (session === null) throw new Error(`There is no session ${key.sessionId}`);
    const client = new Client({ name: 'example-oauth-client', version: '1.0.0' });
    // Its types are older than `exactOptionalPropertyTypes`.
    await client.connect(transportOf(store, key, session.serverUrl) as Transport);
    return new McpConnection(client);
  }

  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  /** Asks the server whom it takes us for. */
  async whoami(): Promise<string> {
    const { content } = await this.#client.callTool({ name: 'whoami' });
    return (content as { text: string }[])[0]?.text ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }
}
