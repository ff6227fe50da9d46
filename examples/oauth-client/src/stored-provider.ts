import type { OAuthClientProvider, OAuthDiscoveryState } from '@modelcontextprotocol/sdk/client/auth.js';
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js';
import type { SessionStore } from '@tmcp/session-store';

/** Which connection of which user. */
export type SessionKey = { readonly userId: string; readonly sessionId: string };

/** Where the browser comes back to. */
export const CALLBACK_URL = 'http://127.0.0.1/oauth/callback';

/**
 * What the MCP client wants to remember of OAuth, kept in a session store: by any process, for any process.
 *
 * It does not let the client refresh tokens by itself. Two processes that do so at the same time present one refresh
 * token twice, and lose their session; `refreshingFetch` does it instead.
 */
export class StoredProvider implements OAuthClientProvider {
  readonly redirectUrl: string = CALLBACK_URL;
  readonly clientMetadata: OAuthClientMetadata = {
    client_name: 'Example OAuth client',
    redirect_uris: [CALLBACK_URL],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  readonly #store: SessionStore;
  readonly #key: SessionKey;

  constructor(store: SessionStore, key: SessionKey) {
    this.#store = store;
    this.#key = key;
  }

  async state(): Promise<string> {
    const nonce = this.#store.generateSessionId();
    await this.#save({ oauthState: { nonce, createdAt: Date.now() } });
    return nonce;
  }

  async clientInformation(): Promise<OAuthClientInformationMixed | undefined> {
    return ((await this.#credentials())?.clientInformation ?? undefined) as OAuthClientInformationMixed | undefined;
  }

  async saveClientInformation(clientInformation: OAuthClientInformationMixed): Promise<void> {
    await this.#save({ clientInformation: { ...clientInformation }, clientId: clientInformation.client_id });
  }

  async tokens(): Promise<OAuthTokens | undefined> {
    const credentials = await this.#credentials();
    // Without this the client would take the user for a new one, and register once more.
    if (credentials === null) throw new Error('The session has ended');
    const { tokens } = credentials;
    if (!tokens) return undefined;
    const { refresh_token: _kept, ...rest } = tokens;
    return rest as OAuthTokens;
  }

  /** After the user's consent; the session can be used from now on. */
  async saveTokens(tokens: OAuthTokens): Promise<void> {
    const { userId, sessionId } = this.#key;
    await this.#store.update(userId, sessionId, {
      status: 'active',
      tokens: { ...tokens },
      codeVerifier: null,
      authUrl: null,
    });
  }

  async saveCodeVerifier(codeVerifier: string): Promise<void> {
    await this.#save({ codeVerifier });
  }

  async codeVerifier(): Promise<string> {
    const verifier = (await this.#credentials())?.codeVerifier;
    if (!verifier) throw new Error('No authorization is under way');
    return verifier;
  }

  /** Where to send the user; the page that lists connections shows it as a link. */
  async redirectToAuthorization(authorizationUrl: URL): Promise<void> {
    const { userId, sessionId } = this.#key;
    await this.#store.update(userId, sessionId, { authUrl: authorizationUrl.href });
  }

  async saveDiscoveryState(discovery: OAuthDiscoveryState): Promise<void> {
    const { userId, sessionId } = this.#key;
    await this.#store.update(userId, sessionId, { metadata: { discovery } });
  }

  async discoveryState(): Promise<OAuthDiscoveryState | undefined> {
    const { userId, sessionId } = this.#key;
    return discoveryOf(await this.#store.get(userId, sessionId));
  }

  #credentials(): ReturnType<SessionStore['getCredentials']> {
    return this.#store.getCredentials(this.#key.userId, this.#key.sessionId);
  }

  #save(credentials: Parameters<SessionStore['patchCredentials']>[2]): Promise<void> {
    return this.#store.patchCredentials(this.#key.userId, this.#key.sessionId, credentials);
  }
}

/** What was learned of the authorization server. */
export function discoveryOf(session: { readonly metadata?: unknown } | null): OAuthDiscoveryState | undefined {
  return (session?.metadata as { discovery?: OAuthDiscoveryState } | null | undefined)?.discovery;
}
