import type { BackendConnection } from './backend-connection.ts';
import type { OAuthState } from './session.ts';
import type { SessionKey } from './session-driver.ts';

const LONGEST_FLOW_MS = 600_000;
/** The state was dated by the clock of the process that began the flow, which may be ahead of ours. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Gives the state away once. The write that clears it is guarded by the version that was read: of several callers with
 * the right nonce one succeeds, and the others find nothing when they look again.
 */
export function consumeOAuthState(
  connection: BackendConnection,
  key: SessionKey,
  nonce: string,
  now: () => number,
): Promise<OAuthState | null> {
  return connection.call('consumeOAuthState', 'write', async ({ driver, codec }) => {
    for (;;) {
      const record = await driver.read(key, ['oauthState']);
      if (record === undefined) return null;
      const { oauthState } = (await codec.open(record)) as { readonly oauthState?: OAuthState };
      if (oauthState === undefined) return null;
      const age = now() - oauthState.createdAt;
      const timely = age <= LONGEST_FLOW_MS && age >= -CLOCK_SKEW_MS;
      if (!(await sameText(oauthState.nonce, nonce)) || !timely) return null;
      const { version: ifVersion } = record;
      const cleared = await driver.patch(key, { kind: 'content', set: {}, unset: ['oauthState'], ifVersion });
      if (cleared === 'missing') return null;
      // Somebody else changed the session, be it another field: only reading again tells.
      if (cleared !== 'conflict') return oauthState;
    }
  });
}

/** Compares digests under a key of the moment: how long that takes says nothing about the texts. */
async function sameText(a: string, b: string): Promise<boolean> {
  const key = await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const [x, y] = await Promise.all([a, b].map((text) => digest(key, text)));
  return x !== undefined && y !== undefined && x.every((byte, at) => byte === y[at]);
}

async function digest(key: CryptoKey, text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(text)));
}
