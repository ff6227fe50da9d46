/**
 * One process of an application that uses MCP for its users. It shares nothing with the others but the session store,
 * which the environment names, and asks the server who it is whenever its parent says so.
 */
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { sessions } from '@tmcp/session-store';
import { McpConnection } from './mcp-connection.ts';
import type { SessionKey } from './stored-provider.ts';

export type Answer = { readonly user: string } | { readonly askTheUser: true } | { readonly failed: string };

const key: SessionKey = { userId: process.argv[2] ?? '', sessionId: process.argv[3] ?? '' };
let connection: McpConnection | undefined;

async function answer(): Promise<Answer> {
  try {
    connection ??= await McpConnection.open(sessions, key);
    return { user: await connection.whoami() };
  } catch (error) {
    if (error instanceof UnauthorizedError) return { askTheUser: true };
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

process.on('message', () => void answer().then((result) => process.send?.(result)));
// Our parent is gone, or has no more work.
process.on('disconnect', () => {
  void connection?.[Symbol.asyncDispose]().finally(() => sessions.disconnect());
});
