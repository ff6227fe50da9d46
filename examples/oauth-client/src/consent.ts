import assert from 'node:assert/strict';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import type { SessionStore } from '@tmcp/session-store';
import { McpConnection, transportOf } from './mcp-connection.ts';
import type { SessionKey } from './stored-provider.ts';

/** Tries to connect, as somebody whom the server does not know; the session then says where to send the user. */
export async function authUrlOf(store: SessionStore, key: SessionKey): Promise<string> {
  await assert.rejects(McpConnection.open(store, key), UnauthorizedError);
  const session = await store.get(key.userId, key.sessionId);
  assert.ok(session?.authUrl, 'there is an address to send the user to');
  return session.authUrl;
}

/** Does what the user's browser does: goes there, says yes, and is sent back. @returns where to */
export async function consent(authUrl: string): Promise<URL> {
  const response = await fetch(authUrl, { redirect: 'manual' });
  return new URL(response.headers.get('location') ?? '');
}

/**
 * What the application does when the browser comes back: makes sure that this belongs to a flow that it has begun, and
 * exchanges the code for tokens.
 *
 * @returns false for a state that was never given out, was used before, or is too old
 */
export async function finish(store: SessionStore, key: SessionKey, callback: URL): Promise<boolean> {
  const state = callback.searchParams.get('state') ?? '';
  if ((await store.consumeOAuthState(key.userId, key.sessionId, state)) === null) return false;
  const session = await store.get(key.userId, key.sessionId);
  assert.ok(session, 'the session is there');
  await transportOf(store, key, session.serverUrl).finishAuth(callback.searchParams.get('code') ?? '');
  return true;
}
