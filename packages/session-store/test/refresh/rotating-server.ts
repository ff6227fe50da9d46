import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OAuthTokens } from '../../src/session.ts';

/**
 * The token endpoint of an OAuth server that rotates refresh tokens: each is good for one use, and when one comes
 * twice, the server takes it for stolen and revokes all that came of the same login (RFC 9700, section 4.14).
 */
export class RotatingServer implements AsyncDisposable {
  static async start(): Promise<RotatingServer> {
    const server = new RotatingServer();
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    return server;
  }

  /** How long an answer takes: long enough for others to come meanwhile. */
  delayMs = 30;
  /** How often each refresh token came. */
  readonly presented: Map<string, number> = new Map();
  revoked = false;
  #current: OAuthTokens | undefined;
  readonly #http = createServer((request, response) => {
    void this.#answer(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/token`;
  }

  /** The first pair, as after a login. */
  login(): OAuthTokens {
    this.revoked = false;
    this.presented.clear();
    return this.#issue();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, 'close');
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const token = new URLSearchParams(body).get('refresh_token') ?? '';
    const times = (this.presented.get(token) ?? 0) + 1;
    this.presented.set(token, times);
    if (token !== this.#current?.refresh_token) this.revoked = true;
    if (this.revoked) return { status: 400, body: { error: 'invalid_grant' } };
    const fresh = this.#issue();
    await sleep(this.delayMs);
    return { status: 200, body: fresh };
  }

  #issue(): OAuthTokens {
    const random = (): string => randomBytes(12).toString('base64url');
    this.#current = { access_token: random(), token_type: 'Bearer', refresh_token: random(), expires_in: 60 };
    return this.#current;
  }
}
