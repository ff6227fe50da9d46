import { inspect } from 'node:util';
import { neon } from '@neondatabase/serverless';
import { freePort } from 'test-support';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createNeonStorageBackend, type NeonStorageBackend, type NeonStorageOptions } from '../../src/neon/index.ts';
import { neonConnection } from '../../src/neon/neon-connection.ts';
import { openNeon } from '../../src/neon/open-neon.ts';
import type { Session } from '../../src/session.ts';
import { makeDriver, newRecord, ROLE_PASSWORD } from '../sql-harness.ts';
import { type NeonPlace, startNeon } from './neon-harness.ts';
import type { Fault } from './support/neon-proxy.ts';

const TOKEN = 'secret-token-value';
const SESSION: Session = {
  userId: 'secret-user-name',
  sessionId: 'session',
  serverUrl: 'https://server.example/mcp',
  callbackUrl: 'https://app.example/callback',
  transportType: 'sse',
  createdAt: Date.now(),
  tokens: { access_token: TOKEN, token_type: 'Bearer' },
};
const { userId: USER, sessionId: ID } = SESSION;

let place: NeonPlace;
beforeAll(async () => {
  place = await startNeon();
});
afterAll(() => place.stop());
afterEach(async () => {
  expect(place.proxy.faults).toEqual([]);
  await place.owner.query('truncate public.mcp_sessions');
});

async function openStore(options: NeonStorageOptions = {}): Promise<NeonStorageBackend> {
  const store = createNeonStorageBackend(place.sql, { encryption: false, ...options });
  await store.init();
  return store;
}

/** The next requests go wrong, one each. */
function provoke(...faults: Fault[]): void {
  place.proxy.faults.push(...faults);
  place.proxy.requests.length = 0;
}

async function failure(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const error: unknown = await promise.then(
    (value) => {
      throw new Error(`resolved with ${inspect(value)}`);
    },
    (reason: unknown) => reason,
  );
  const shown = inspect(error, { depth: 10, showHidden: true, getters: true }) + JSON.stringify(error);
  for (const secret of [ROLE_PASSWORD, TOKEN, USER, 'postgresql://']) expect(shown).not.toContain(secret);
  return error as Record<string, unknown>;
}

const storedName = async (): Promise<unknown> => {
  const { rows } = await place.owner.query<{ name: unknown }>('select server_name as name from public.mcp_sessions');
  return rows[0]?.name;
};

describe('create', () => {
  it('neon/create-cut-after: a create whose answer was lost finds its own row', async () => {
    const store = await openStore();
    for (const fault of ['cut-after', 'truncate', 'html'] as const) {
      provoke(fault);
      await store.create(SESSION);
      expect(place.proxy.requests).toHaveLength(2);
      await store.delete(USER, ID);
    }
  });

  it('neon/create-exists: a row of somebody else is not taken for its own', async () => {
    const store = await openStore();
    await store.create(SESSION);
    provoke('cut-after');
    expect(await failure(store.create(SESSION))).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
    await expect(store.create(SESSION)).rejects.toMatchObject({ code: 'exists' });
  });

  it('neon/create-cut-before: without an answer and without a row nobody knows', async () => {
    const store = await openStore();
    provoke('cut-before');
    expect(await failure(store.create(SESSION))).toMatchObject({
      code: 'unavailable',
      message: 'Storage backend neon is unavailable: create failed',
      outcome: 'unknown',
      retryable: true,
    });
    expect(await storedName()).toBeUndefined();
  });
});

describe('update', () => {
  const lost: [Fault, boolean][] = [
    ['cut-after', true],
    ['truncate', true],
    ['html', true],
    ['cut-before', false],
    [500, false],
    [502, false],
    [503, false],
  ];
  it.each(lost)('neon/update-%s: is not tried again, and its outcome is unknown', async (fault, isApplied) => {
    const store = await openStore();
    await store.create({ ...SESSION, serverName: 'before' });
    provoke(fault);
    expect(await failure(store.update(USER, ID, { serverName: 'after' }))).toMatchObject({
      code: 'unavailable',
      message: 'Storage backend neon is unavailable: update failed',
      outcome: 'unknown',
      retryable: true,
    });
    expect(place.proxy.requests).toHaveLength(1);
    expect(await storedName()).toBe(isApplied ? 'after' : 'before');
  });

  it('neon/too-many-requests: what was refused was not applied, and is tried again', async () => {
    const store = await openStore();
    await store.create(SESSION);
    provoke(429);
    await store.update(USER, ID, { serverName: 'after' });
    expect(place.proxy.requests).toHaveLength(2);
    provoke(429, 429, 429);
    expect(await failure(store.update(USER, ID, { serverName: 'x' }))).toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
    });
  });

  it('neon/hang: an endpoint that does not answer is given up in time', async () => {
    const store = await openStore({ operationTimeoutMs: 1_000 });
    await store.create(SESSION);
    provoke('hang');
    expect(await failure(store.update(USER, ID, { serverName: 'x' }))).toMatchObject({
      code: 'unavailable',
      message: 'Storage backend neon is unavailable: update timed out after 1000 ms',
      outcome: 'unknown',
    });
    await store.update(USER, ID, { serverName: 'later' });
    expect(await storedName()).toBe('later');
  });
});

describe('what may be repeated', () => {
  it('neon/repeatable: reads, touch and delete go through when one request fails', async () => {
    const store = await openStore();
    await store.create(SESSION);
    for (const fault of ['cut-before', 'cut-after', 'truncate', 'html', 500] as const) {
      provoke(fault);
      expect((await store.get(USER, ID))?.sessionId).toBe(ID);
      provoke(fault);
      expect(await store.list(USER)).toHaveLength(1);
      provoke(fault);
      await store.touch(USER, ID);
      expect(place.proxy.requests).toHaveLength(2);
    }
    provoke('cut-after');
    await store.delete(USER, ID);
    expect(await storedName()).toBeUndefined();
  });

  it('neon/down: an endpoint that stays away is told on every method, and is back without a restart', async () => {
    const store = await openStore();
    await store.create(SESSION);
    const calls: (() => Promise<unknown>)[] = [
      () => store.get(USER, ID),
      () => store.list(USER),
      () => store.listIds(USER),
      () => store.listAllIds(),
      () => store.touch(USER, ID),
      () => store.delete(USER, ID),
      () => store.getCredentials(USER, ID),
      () => store.clearAll(),
    ];
    for (const call of calls) {
      provoke(503, 503, 503);
      expect(await failure(call())).toMatchObject({ code: 'unavailable' });
    }
    provoke(503, 503, 503);
    expect(await store.health()).toMatchObject({ ok: false, backend: 'neon', error: 'unavailable' });
    expect(await store.health()).toMatchObject({ ok: true });
    expect((await store.get(USER, ID))?.sessionId).toBe(ID);
  });

  it('neon/start: a start that failed is tried again by the next call', async () => {
    const store = createNeonStorageBackend(place.sql, { encryption: false });
    provoke(503, 503, 503);
    expect(await failure(store.create(SESSION))).toMatchObject({
      code: 'unavailable',
      message: 'Storage backend neon is unavailable: init failed: the driver said "NeonDbError: HTTP status 503"',
    });
    await store.create(SESSION);
  });
});

describe('secrets', () => {
  it('neon/refused-login: password and role are not shown', async () => {
    const url = new URL(place.roleUrl);
    url.password = 'wrong-but-secret';
    const store = createNeonStorageBackend(neon(url.href), { encryption: false });
    const error = await failure(store.create(SESSION));
    expect(error).toMatchObject({ code: 'config', message: expect.stringContaining('check user, password') });
    expect(inspect(error)).not.toContain('wrong-but-secret');
  });

  it('neon/nobody-there: a connection that is refused was not applied, and shows no address', async () => {
    const url = new URL(place.roleUrl);
    url.port = String(await freePort());
    const driver = makeDriver(neonConnection(neon(url.href)), { backend: 'neon' });
    expect(await failure(driver.insert(newRecord({ userId: USER })))).toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
      cause: { code: 'ECONNREFUSED' },
    });
  });

  it('neon/row-in-detail: a server that quotes the whole row shows nothing of it', async () => {
    const store = await openStore();
    await place.owner.query('alter table public.mcp_sessions add constraint never check (server_name is null)');
    try {
      expect(await failure(store.create({ ...SESSION, serverName: 'x' }))).toMatchObject({
        code: 'unavailable',
        outcome: 'not-applied',
        cause: { code: '23514' },
      });
    } finally {
      await place.owner.query('alter table public.mcp_sessions drop constraint never');
    }
  });

  it('neon/open: a connection string that is none is refused without being shown', async () => {
    for (const text of [
      'not-a-url-but-secret',
      'postgresql://user:not-a-url-but-secret@',
      'http://not-a-url-but-secret/',
    ]) {
      const error: unknown = await openNeon(text, 'NEON_DATABASE_URL').catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'config', message: 'NEON_DATABASE_URL is not a valid postgresql URL' });
      expect(inspect(error, { showHidden: true })).not.toContain('not-a-url-but-secret');
    }
    const store = await openNeon(place.roleUrl, 'NEON_DATABASE_URL', { encryption: false });
    await store.create(SESSION);
    expect(await store.listIds(USER)).toEqual([ID]);
  });

  it('neon/not-neon: anything but a Neon function is refused at once', () => {
    for (const wrong of [undefined, null, {}, () => [], { query: () => [] }]) {
      expect(() => createNeonStorageBackend(wrong as never)).toThrow(
        expect.objectContaining({ code: 'config', message: expect.stringContaining('@neondatabase/serverless') }),
      );
    }
  });
});
