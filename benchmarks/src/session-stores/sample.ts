import { COUNTER, type SampleChange, type SampleSession, type SampleTokens } from './measured-store.ts';

/** As long as a JSON Web Token with a handful of claims. */
const ACCESS_TOKEN_LENGTH = 800;
const CALLBACK = 'https://app.example/oauth/callback';

/** An active session after its OAuth flow: about 1.5 kB as JSON. */
export function sampleSession(userId: string, sessionId: string): SampleSession {
  return {
    userId,
    sessionId,
    serverId: `server-of-${sessionId}`,
    serverName: 'Example server',
    serverUrl: 'https://mcp.example/mcp',
    callbackUrl: CALLBACK,
    createdAt: Date.now(),
    headers: { authorization: 'Bearer of-the-gateway', [COUNTER]: '0' },
    tokens: sampleTokens(sessionId),
    clientInformation: { client_id: `client-of-${sessionId}`, redirect_uris: [CALLBACK], contacts: [] },
  };
}

/** What a refresh brings. */
export function sampleChange(mark: string): SampleChange {
  return { serverName: mark, tokens: sampleTokens(mark) };
}

function sampleTokens(mark: string): SampleTokens {
  return {
    access_token: `access-${mark}-`.padEnd(ACCESS_TOKEN_LENGTH, 'x'),
    token_type: 'Bearer',
    refresh_token: `refresh-${mark}-`.padEnd(64, 'y'),
    expires_in: 3_600,
  };
}
