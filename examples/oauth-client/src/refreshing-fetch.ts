import { refreshAuthorization } from '@modelcontextprotocol/sdk/client/auth.js';
import { InvalidGrantError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import type { OAuthClientInformationMixed } from '@modelcontextprotocol/sdk/shared/auth.js';
import type { FetchLike } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type OAuthTokens, type Session, type SessionStore, SessionStoreError } from '@tmcp/session-store';
import { discoveryOf, type SessionKey } from './stored-provider.ts';

/**
 * A `fetch` for the transport of an MCP client. When a token is not accepted any more it gets another one and asks
 * again, so that the client does not notice. However many processes come to that at once, one refreshes.
 */
export function refreshingFetch(store: SessionStore, key: SessionKey): FetchLike {
  return async (url, init) => {
    const response = await fetch(url, init);
    const headers = new Headers(init?.headers);
    const stale = headers.get('authorization')?.replace(/^Bearer /, '');
    if (response.status !== 401 || stale === undefined) return response;
    const fresh = await freshToken(store, key, stale);
    // The client will ask the user.
    if (fresh === undefined) return response;
    await response.body?.cancel();
    headers.set('authorization', `Bearer ${fresh}`);
    return fetch(url, { ...init, headers });
  };
}

async function freshToken(store: SessionStore, key: SessionKey, stale: string): Promise<string | undefined> {
  try {
    const { tokens } = await store.refreshTokens(key.userId, key.sessionId, refresh, { staleAccessToken: stale });
    return tokens.access_token;
  } catch (error) {
    // The user has withdrawn the consent, or the tokens were stolen; or there was never one to refresh with.
    if (error instanceof InvalidGrantError) return undefined;
    if (SessionStoreError.is(error) && error.code === 'validation') return undefined;
    throw error;
  }
}

/** Runs under the lock of the session, with what is stored now. */
async function refresh(current: Session, { signal }: { readonly signal: AbortSignal }): Promise<OAuthTokens> {
  const discovery = discoveryOf(current);
  const { clientInformation, tokens } = current;
  if (discovery === undefined || !clientInformation || !tokens?.refresh_token) {
    throw new InvalidGrantError('There is nothing to refresh with');
  }
  const { authorizationServerUrl, authorizationServerMetadata, resourceMetadata } = discovery;
  const fresh = await refreshAuthorization(authorizationServerUrl, {
    ...(authorizationServerMetadata && { metadata: authorizationServerMetadata }),
    ...(resourceMetadata && { resource: new URL(resourceMetadata.resource) }),
    clientInformation: clientInformation as OAuthClientInformationMixed,
    refreshToken: tokens.refresh_token,
    // A lock that is lost ends the request.
    fetchFn: (url, init) => fetch(url, { ...init, signal }),
  });
  // The client presents tokens to nobody but who issued them.
  return { ...fresh, issuer: authorizationServerUrl };
}
