import { MemoryStorageBackend } from '@tmcp/session-store/memory';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let store: MemoryStorageBackend;

beforeEach(async () => {
  store = new MemoryStorageBackend({ encryption: false });
  await store.create({
    sessionId: 's',
    userId: 'u',
    serverUrl: 'https://mcp.example',
    callbackUrl: 'https://app.example',
    transportType: 'sse',
    status: 'active',
    createdAt: Date.now(),
    tokens: { access_token: 'a', token_type: 'b', refresh_token: 'r1' },
  });
});
afterEach(() => store.disconnect());

function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('locks and what they keep', () => {
  it('locks/not-regained: who stood still past the lease has lost it, although it is free again', async () => {
    const ran: string[] = [];
    const first = store.withLock(
      'u',
      's',
      async ({ signal }) => {
        ran.push('first');
        standStill(150);
        // What was due meanwhile runs now: the second comes and goes before the first asks for its lease again.
        await new Promise((resolve) => setTimeout(resolve, 20));
        expect(signal.aborted).toBe(true);
      },
      { ttlMs: 100 },
    );
    await new Promise((resolve) => setImmediate(resolve));
    const second = store.withLock('u', 's', async () => ran.push('second'));
    await expect(first).rejects.toMatchObject({ code: 'lock_lost', message: 'The lock on session s was lost' });
    await second;
    expect(ran).toEqual(['first', 'second']);
  });

  it('locks/given-up-while-asking: a lock that is granted to nobody any more is given back unused', async () => {
    const controller = new AbortController();
    const asked = store.withLock('u', 's', async () => expect.unreachable(), { signal: controller.signal });
    controller.abort(new Error('given up'));
    await expect(asked).rejects.toThrow('given up');
    expect(await store.withLock('u', 's', async () => 'free', { waitMs: 0 })).toBe('free');
  });

  it('locks/same-access-token: a rotated refresh token is stored, although the access token is the same', async () => {
    const tokens = { access_token: 'a', token_type: 'b', refresh_token: 'r2' };
    const refreshed = await store.refreshTokens('u', 's', async () => {
      // Another change of the session: the first write meets another version.
      await store.update('u', 's', { serverName: 'x' });
      return tokens;
    });
    expect(refreshed).toEqual({ tokens, source: 'refreshed', stored: true });
    expect((await store.getCredentials('u', 's'))?.tokens).toEqual(tokens);
  });

  it('locks/strange-answers: no answer of the server takes the refresh token away', async () => {
    for (const answer of [null, undefined, 'text', [], {}, { access_token: '' }]) {
      await expect(store.refreshTokens('u', 's', async () => answer as never)).rejects.toMatchObject({
        code: 'validation',
        message: 'Invalid session field tokens: must have an access_token',
      });
    }
    for (const refresh_token of [null, undefined, '']) {
      const answer = { access_token: `after ${String(refresh_token)}`, token_type: 'b', refresh_token };
      const refreshed = await store.refreshTokens('u', 's', async () => answer as never);
      expect(refreshed.tokens).toEqual({ ...answer, refresh_token: 'r1' });
    }
  });
});
