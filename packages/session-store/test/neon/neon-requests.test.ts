import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createNeonStorageBackend, type NeonStorageBackend } from '../../src/neon/index.ts';
import type { Session } from '../../src/session.ts';
import { type NeonPlace, startNeon } from './neon-harness.ts';

function session(change: Partial<Session> = {}): Session {
  return {
    userId: 'user',
    sessionId: 'session',
    serverUrl: 'https://server.example/mcp',
    callbackUrl: 'https://app.example/callback',
    transportType: 'streamable-http',
    createdAt: Date.now(),
    ...change,
  };
}

describe.each([
  ['one role for all users', false],
  ['row-level security for users', true],
])('requests with %s', (_title, tenants) => {
  let place: NeonPlace;
  let store: NeonStorageBackend;
  beforeAll(async () => {
    place = await startNeon({ tenants });
  });
  afterAll(() => place.stop());
  beforeEach(async () => {
    const options = tenants ? ({ rls: 'tenant', admin: place.admin } as const) : {};
    store = createNeonStorageBackend(place.sql, { encryption: '1f'.repeat(32), ...options });
    await store.init();
    place.proxy.requests.length = 0;
  });
  afterEach(() => place.owner.query('truncate public.mcp_sessions'));

  async function requestsOf(call: () => Promise<unknown>): Promise<number> {
    place.proxy.requests.length = 0;
    await call();
    return place.proxy.requests.length;
  }

  it('budget/one-request: every operation on one session is one request', async () => {
    const tokens = { access_token: 'a', token_type: 'Bearer' };
    expect(await requestsOf(() => store.create(session({ tokens })))).toBe(1);
    expect(await requestsOf(() => store.update('user', 'session', { serverName: 'x' }))).toBe(1);
    expect(await requestsOf(() => store.touch('user', 'session'))).toBe(1);
    expect(await requestsOf(() => store.get('user', 'session'))).toBe(1);
    expect(await requestsOf(() => store.getCredentials('user', 'session'))).toBe(1);
    expect(await requestsOf(() => store.patchCredentials('user', 'session', { clientId: 'x' }))).toBe(1);
    expect(await requestsOf(() => store.listIds('user'))).toBe(1);
    expect(await requestsOf(() => store.delete('user', 'session'))).toBe(1);
  });

  it('budget/list: a list of 1,000 sessions is one request, listAllIds as well, and reads no record', async () => {
    await place.owner.query(
      `insert into public.mcp_sessions (session_id, user_id, server_url, transport_type, callback_url, expires_at, server_name, client_id)
       select 's' || i, 'user', 'https://server.example/mcp', 'sse', 'https://app.example', now() + interval '1 h', repeat('n', 200), 'hidden'
       from generate_series(1, 1000) as i`,
    );
    let listed: Session[] = [];
    expect(
      await requestsOf(async () => {
        listed = await store.list('user');
      }),
    ).toBe(1);
    expect(listed).toHaveLength(1_000);
    let ids: string[] = [];
    expect(
      await requestsOf(async () => {
        ids = await store.listAllIds();
      }),
    ).toBe(1);
    expect(ids).toHaveLength(1_000);
    const [statement] = place.proxy.requests[0]?.queries ?? [];
    expect(statement?.query).not.toContain('server_url');
  });

  it('budget/no-credentials: what is not asked for does not leave the database', async () => {
    await store.create(session({ tokens: { access_token: 'a', token_type: 'Bearer' } }));
    await requestsOf(() => store.list('user'));
    const text = JSON.stringify(place.proxy.requests);
    for (const column of ['tokens', 'client_information', 'code_verifier', 'client_id', 'oauth_state']) {
      expect(text).not.toContain(column);
    }
  });

  it('requests/text-only: values cross as text, one statement each, a batch only where users are separated', async () => {
    await store.create(session({ metadata: { list: [1, 2], text: 'x' } }));
    await store.list('user');
    for (const { queries, isBatch } of place.proxy.requests) {
      expect(isBatch).toBe(tenants);
      expect(queries).toHaveLength(tenants ? 2 : 1);
      for (const { params } of queries) {
        for (const value of params) expect(value === null || typeof value === 'string').toBe(true);
      }
    }
  });

  it('requests/other-settings: a function that was set up for arrays and full results works as well', async () => {
    const { neon } = await import('@neondatabase/serverless');
    const sql = neon(place.roleUrl, { arrayMode: true, fullResults: true });
    const options = tenants ? ({ rls: 'tenant' } as const) : {};
    const other = createNeonStorageBackend(sql, { encryption: '1f'.repeat(32), ...options });
    await other.create(session());
    expect(await other.get('user', 'session')).toEqual(await store.get('user', 'session'));
  });
});
