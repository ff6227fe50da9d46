import type { Worker } from './rig.ts';
import { SseClient } from './sse-client.ts';

const PER_REQUEST = '2026-07-28';
const CLIENT_INFO = { name: 'client', version: '1' };

export type Answer = { readonly result?: Record<string, unknown>; readonly error?: { readonly message: string } };

function post(sessionId: string, body: unknown): RequestInit {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': sessionId,
  };
  return { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', ...(body as object) }) };
}

/** Calls a method over the HTTP transport of a Worker. */
export async function call(worker: Worker, sessionId: string, method: string, params: unknown = {}): Promise<Answer> {
  const response = await worker.fetch('http://test/mcp', post(sessionId, { id: 1, method, params }));
  const text = await response.text();
  const data = /^data: (.*)$/m.exec(text)?.[1];
  if (data === undefined) throw new Error(`no answer to ${method}: ${response.status} ${text}`);
  return JSON.parse(data) as Answer;
}

/** Posts to the SSE transport, which answers over the stream of the session. */
export async function postSse(worker: Worker, path: string, body: unknown): Promise<number> {
  const response = await worker.fetch(`http://test${path}`, post('', body));
  await response.text();
  return response.status;
}

export const INITIALIZE: Record<string, unknown> = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: CLIENT_INFO,
};

/** Opens a `subscriptions/listen` stream of the 2026-07-28 protocol. */
export function listen(worker: Worker, notifications: Record<string, unknown>): Promise<SseClient> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': PER_REQUEST,
    'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const body = { jsonrpc: '2.0', id: 'listen', method: 'subscriptions/listen', params: { notifications, _meta } };
  return SseClient.open(worker, '/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': PER_REQUEST,
      'mcp-method': 'subscriptions/listen',
    },
    body: JSON.stringify(body),
  });
}
