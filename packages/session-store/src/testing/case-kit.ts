import { expect } from 'vitest';
import type { BackendOptions } from '../backend-options.ts';
import { SessionStoreError, type SessionStoreErrorCode } from '../errors.ts';
import type { Session } from '../session.ts';
import type { SessionStore } from '../session-store.ts';

/** One empty place to store sessions in, for one case. */
export type ConformanceBackend = {
  /** A store on this place. Where `sharesData` is set, every store sees what the others wrote, as processes would. */
  readonly open: (options: BackendOptions) => SessionStore | Promise<SessionStore>;
  readonly sharesData: boolean;
  /** Everything that is stored, as text: to look for secrets in it. */
  readonly dump?: (() => Promise<string>) | undefined;
  /** Removes the place, after the stores were disconnected. May also check that nothing is left over. */
  readonly cleanUp: () => Promise<void>;
};

export type CaseKit = {
  /** A store with the options of the variant and these. */
  readonly open: (options?: BackendOptions) => Promise<SessionStore>;
  readonly dump: (() => Promise<string>) | undefined;
  /** What was given to `onError` so far. */
  readonly reports: readonly SessionStoreError[];
};

export type Case = (kit: CaseKit) => Promise<void>;

/** By stable id: documentation and known exceptions refer to it. */
export type Cases = Readonly<Record<string, Case>>;

export const USER = 'user-1';
export const ID = 'session-1';

/** A session with what every session must have. */
export function session(overrides: Partial<Session> = {}): Session {
  return {
    sessionId: ID,
    userId: USER,
    serverUrl: 'https://mcp.example/mcp',
    callbackUrl: 'https://app.example/callback',
    transportType: 'streamable-http',
    createdAt: Date.now(),
    ...overrides,
  };
}

/** A session with every field. */
export function fullSession(overrides: Partial<Session> = {}): Session {
  return session({
    serverId: 'server-1',
    serverName: 'Example',
    status: 'active',
    headers: { authorization: 'Bearer SECRET-header' },
    authUrl: 'https://auth.example/authorize?state=SECRET-url',
    metadata: { labels: ['a', 'b'], nested: { deep: { empty: {} } } },
    ...CREDENTIALS,
    ...overrides,
  });
}

export const CREDENTIALS = {
  clientInformation: { client_id: 'client-1', client_secret: 'SECRET-client', redirect_uris: [] },
  tokens: { access_token: 'SECRET-access', token_type: 'Bearer', refresh_token: 'SECRET-refresh', vendor: { x: 1 } },
  codeVerifier: 'SECRET-verifier',
  clientId: 'client-1',
  oauthState: { nonce: 'SECRET-nonce', createdAt: 1_795_000_000_000, serverId: 'server-1' },
} as const;

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<SessionStoreError> {
  const error: unknown = await call.then(
    (value) => expect.unreachable(`resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!SessionStoreError.is(error)) throw error;
  return error;
}

/** Code and message of a call that must fail. */
export async function expectFailure(
  call: Promise<unknown>,
  code: SessionStoreErrorCode,
  message?: string | RegExp,
): Promise<void> {
  const error = await failure(call);
  expect({ code: error.code, message: error.message }).toEqual({
    code,
    message: message === undefined ? error.message : expect.stringMatching(asPattern(message)),
  });
  expect(error.retryable).toBe(['conflict', 'unavailable', 'locked', 'lock_lost'].includes(code));
}

/** Waits for a condition, but not for ever. */
export async function until(condition: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not true within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function asPattern(message: string | RegExp): RegExp {
  return typeof message === 'string' ? new RegExp(`^${message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`) : message;
}
