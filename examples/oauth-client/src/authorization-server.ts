import { createHash, randomBytes } from 'node:crypto';
import { type Listening, listen } from './listen.ts';

/** All tokens that came of one consent. */
type Grant = { readonly user: string; readonly refreshTokens: string[]; revoked: boolean };

type Code = { readonly challenge: string; readonly redirectUri: string; readonly clientId: string };

/**
 * An OAuth 2.1 server, as strict as they come: clients register themselves, PKCE is required, and refresh tokens rotate.
 * One that comes twice was stolen by somebody, so that all tokens of its grant are revoked (RFC 9700, section 4.14).
 * Its only user consents to everything.
 */
export class AuthorizationServer implements AsyncDisposable {
  static async start(): Promise<AuthorizationServer> {
    const server = new AuthorizationServer();
    server.#listening = await listen((request) => server.#answer(request));
    return server;
  }

  registrations = 0;
  consents = 0;
  /** How often each refresh token was presented. */
  readonly presented: Map<string, number> = new Map();
  readonly #codes: Map<string, Code> = new Map();
  readonly #accessTokens: Map<string, Grant> = new Map();
  readonly #grants: Grant[] = [];
  #listening: Listening | undefined;

  get issuer(): string {
    return this.#listening?.origin ?? '';
  }

  /** Whose request this is, if its token is good. */
  userOf(request: Request): string | undefined {
    const token = request.headers.get('authorization')?.replace(/^Bearer /, '');
    const grant = token === undefined ? undefined : this.#accessTokens.get(token);
    return grant?.revoked === false ? grant.user : undefined;
  }

  /** As if an hour had passed. */
  expireAccessTokens(): void {
    this.#accessTokens.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listening?.[Symbol.asyncDispose]();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case 'GET /.well-known/oauth-authorization-server':
        return Response.json(this.#metadata());
      case 'POST /register':
        this.registrations += 1;
        return Response.json({ ...(await request.json()), client_id: random() }, { status: 201 });
      case 'GET /authorize':
        return this.#authorize(searchParams);
      case 'POST /token':
        return this.#token(new URLSearchParams(await request.text()));
      default:
        return new Response(null, { status: 404 });
    }
  }

  #metadata(): Record<string, unknown> {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/authorize`,
      token_endpoint: `${this.issuer}/token`,
      registration_endpoint: `${this.issuer}/register`,
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
    };
  }

  /** Where a browser would show a page. The user says yes. */
  #authorize(query: URLSearchParams): Response {
    const redirectUri = query.get('redirect_uri') ?? '';
    const challenge = query.get('code_challenge');
    if (challenge === null) return Response.json({ error: 'invalid_request' }, { status: 400 });
    this.consents += 1;
    const code = random();
    this.#codes.set(code, { challenge, redirectUri, clientId: query.get('client_id') ?? '' });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    back.searchParams.set('state', query.get('state') ?? '');
    return new Response(null, { status: 302, headers: { location: back.href } });
  }

  #token(form: URLSearchParams): Response {
    const grant = form.get('grant_type') === 'refresh_token' ? this.#refreshed(form) : this.#consented(form);
    if (grant === undefined) return Response.json({ error: 'invalid_grant' }, { status: 400 });
    const [accessToken, refreshToken] = [random(), random()];
    this.#accessTokens.set(accessToken, grant);
    grant.refreshTokens.push(refreshToken);
    return Response.json({
      access_token: accessToken,
      token_type: 'Bearer',
      refresh_token: refreshToken,
      expires_in: 3_600,
    });
  }

  #consented(form: URLSearchParams): Grant | undefined {
    const id = form.get('code') ?? '';
    const code = this.#codes.get(id);
    this.#codes.delete(id);
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (code?.challenge !== challenge || code.redirectUri !== form.get('redirect_uri')) return undefined;
    if (code.clientId !== form.get('client_id')) return undefined;
    const grant: Grant = { user: 'Ada', refreshTokens: [], revoked: false };
    this.#grants.push(grant);
    return grant;
  }

  #refreshed(form: URLSearchParams): Grant | undefined {
    const token = form.get('refresh_token') ?? '';
    this.presented.set(token, (this.presented.get(token) ?? 0) + 1);
    const grant = this.#grants.find(({ refreshTokens }) => refreshTokens.includes(token));
    if (grant !== undefined && grant.refreshTokens.at(-1) !== token) grant.revoked = true;
    return grant?.revoked === false ? grant : undefined;
  }
}

function random(): string {
  return randomBytes(24).toString('base64url');
}
