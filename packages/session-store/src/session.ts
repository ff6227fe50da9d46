/** `'pending'`: its OAuth flow has begun and not ended. `'active'`: it can be used. */
export type SessionStatus = 'pending' | 'active';

/** How the client talks to the server. `'streamable_http'` is accepted in its place and stored as `'streamable-http'`. */
export type TransportType = 'sse' | 'streamable-http';

/** Tokens as an OAuth server answers them (RFC 6749, section 5.1). Unknown fields are kept. */
export type OAuthTokens = {
  readonly access_token: string;
  readonly token_type: string;
  readonly refresh_token?: string | undefined;
  readonly expires_in?: number | undefined;
  readonly scope?: string | undefined;
  readonly id_token?: string | undefined;
  readonly [field: string]: unknown;
};

/** What ties an OAuth answer to the request that it belongs to. */
export type OAuthState = {
  /** Random text that went out as `state`. */
  readonly nonce: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly serverId?: string | undefined;
};

/** What must not be seen by others. `undefined` leaves a field, `null` clears it. */
export type SessionCredentials = {
  /** The answer of dynamic client registration (RFC 7591), or what was configured in its place. */
  readonly clientInformation?: Readonly<Record<string, unknown>> | null | undefined;
  readonly tokens?: OAuthTokens | null | undefined;
  /** PKCE (RFC 7636). */
  readonly codeVerifier?: string | null | undefined;
  readonly clientId?: string | null | undefined;
  readonly oauthState?: OAuthState | null | undefined;
};

/** One connection of a user to an MCP server. */
export type Session = SessionCredentials & {
  /** Unique for its user. */
  readonly sessionId: string;
  readonly userId: string;
  readonly serverUrl: string;
  readonly callbackUrl: string;
  readonly transportType: TransportType;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly serverId?: string | null | undefined;
  readonly serverName?: string | null | undefined;
  /** @default 'pending' */
  readonly status?: SessionStatus | undefined;
  readonly headers?: Readonly<Record<string, string>> | null | undefined;
  /** Where the user has to go to consent. */
  readonly authUrl?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
  readonly updatedAt?: number | undefined;
  /** Milliseconds since 1970; `null` for an active session, which ends when it is dormant. */
  readonly expiresAt?: number | null | undefined;
  /** Rises with every change of content, and never repeats for the same pair of ids. */
  readonly version?: number | undefined;
};
