import type { BackendOptions, OAuthTokens, Session, SessionStore, SessionStoreError } from '@tmcp/session-store';
import { backendRules } from '../../src/backend-options.ts';
import { MemoryDriver } from '../../src/memory/memory-driver.ts';
import { readOptions } from '../../src/options.ts';
import { SessionRepository } from '../../src/session-repository.ts';
import { type Fault, withFaults } from './faulty-driver.ts';

/** A store on memory, and what stands between them. */
export class FaultyStore {
  readonly store: SessionStore;
  /** Of every call of the driver, while it is set. */
  fault: Fault | undefined;
  /** What was given to `onError`. */
  readonly reports: SessionStoreError[] = [];

  constructor(options: BackendOptions = {}) {
    const onError = (error: SessionStoreError): unknown => this.reports.push(error);
    const settings = readOptions({ operationTimeoutMs: 10_000, encryption: false, onError, ...options }, backendRules);
    this.store = new SessionRepository(
      (context) => withFaults(new MemoryDriver(context, Date.now), () => this.fault),
      settings,
    );
  }
}

export const session: Session = {
  sessionId: 's',
  userId: 'u',
  serverUrl: 'https://mcp.example',
  callbackUrl: 'https://app.example',
  transportType: 'sse',
  createdAt: Date.now(),
  oauthState: { nonce: 'n', createdAt: Date.now() },
};

export const pair = (number: number): OAuthTokens => ({
  access_token: `SECRET-a${number}`,
  token_type: 'b',
  refresh_token: `SECRET-r${number}`,
});
