import { expect } from 'vitest';
import type { Session } from '../../session.ts';
import type { SessionStore } from '../../session-store.ts';
import { type Cases, failure, ID, session, USER } from '../case-kit.ts';

/** Many callers at once. */
export const concurrencyCases: Cases = {
  'race/creators: of many creators one wins': async ({ open }) => {
    const store = await open();
    const created = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at) => store.create(session({ serverName: String(at) }))),
    );
    const winners = created.flatMap((result, at) => (result.status === 'fulfilled' ? [String(at)] : []));
    expect(winners).toHaveLength(1);
    expect((await store.get(USER, ID))?.serverName).toBe(winners[0]);
    for (const result of created) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'exists' });
    }
  },

  'race/creators-on-expired: also where an expired session is in the way': async ({ open }) => {
    const store = await open();
    await store.create(session({ createdAt: Date.now() - 86_400_000 }));
    const created = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at) => store.create(session({ serverName: String(at) }))),
    );
    expect(created.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  },

  'race/disjoint-updates: none of them is lost': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const before = (await store.get(USER, ID))?.version ?? expect.unreachable();
    const changes = changesOf('value');
    await Promise.all(changes.map((change) => store.update(USER, ID, change)));
    const found = await store.get(USER, ID, { includeCredentials: true });
    expect(found).toMatchObject(Object.assign({}, ...changes) as object);
    expect(found?.version).toBe(before + changes.length);
  },

  'race/300-updates: of 300 updates at once none is lost': async ({ open }) => expectNoneLost([await open()]),

  'race/equal-versions: of many writes for one version one wins': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const ifVersion = (await store.get(USER, ID))?.version;
    const writes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at) => store.update(USER, ID, { serverName: String(at) }, { ifVersion })),
    );
    const winners = writes.flatMap((result, at) => (result.status === 'fulfilled' ? [String(at)] : []));
    expect(winners).toHaveLength(1);
    expect((await store.get(USER, ID))?.serverName).toBe(winners[0]);
  },

  'race/delete-and-update: what was deleted does not come back': async ({ open }) => {
    const store = await open();
    for (let round = 0; round < 10; round += 1) {
      await store.create(session());
      const updates = Array.from({ length: 5 }, (_, at) => store.update(USER, ID, { serverName: String(at) }));
      const deleted = store.delete(USER, ID);
      const later = Array.from({ length: 5 }, () => store.patchCredentials(USER, ID, { clientId: 'x' }));
      const [last, ...writes] = await Promise.allSettled([deleted, ...updates, ...later]);
      expect(last?.status).toBe('fulfilled');
      for (const result of writes) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'not_found' });
      }
      expect(await store.get(USER, ID)).toBeNull();
      expect(await store.listIds(USER)).toEqual([]);
    }
  },

  'race/increments: changes guarded by the version count exactly': async ({ open }) => {
    const store = await open();
    await store.create(session({ metadata: { count: 0 } }));
    const increment = async (): Promise<void> => {
      for (;;) {
        const found = (await store.get(USER, ID)) ?? expect.unreachable();
        const count = Number(found.metadata?.count) + 1;
        const written = store.update(USER, ID, { metadata: { count } }, { ifVersion: found.version });
        if (await written.then(() => true, expectConflict)) return;
      }
    };
    await Promise.all(Array.from({ length: 10 }, increment));
    expect((await store.get(USER, ID))?.metadata).toEqual({ count: 10 });
  },

  'race/sweep-beside-writes: sweeping takes nothing that lives': async ({ open }) => {
    const store = await open();
    const ids = Array.from({ length: 30 }, (_, at) => `s${String(at).padStart(2, '0')}`);
    for (const sessionId of ids) await store.create(session({ sessionId, createdAt: Date.now() - 86_400_000 }));
    await Promise.all([
      store.sweep({ batch: 5 }),
      ...ids.map((sessionId) => store.create(session({ sessionId, serverName: 'again' }))),
      store.sweep({ batch: 5 }),
      store.cleanupExpired(),
    ]);
    const found = await store.list(USER);
    expect(found.map(({ serverName, sessionId }) => [sessionId, serverName])).toEqual(ids.map((id) => [id, 'again']));
  },
};

/** Ten changes of ten fields: whether one was lost can be told from each of them. */
function changesOf(mark: string): Partial<Session>[] {
  return [
    { serverName: mark },
    { serverId: mark },
    { metadata: { mark } },
    { headers: { mark } },
    { authUrl: `https://auth.example/${mark}` },
    { tokens: { access_token: mark, token_type: 'Bearer' } },
    { clientId: mark },
    { codeVerifier: mark },
    { clientInformation: { client_id: mark } },
    { status: 'active' },
  ];
}

/**
 * 300 updates at once, spread over the stores. Each is of another field or session, so that each is seen in the end;
 * versions count them, and never go back for somebody who reads meanwhile.
 */
export async function expectNoneLost(stores: readonly SessionStore[]): Promise<void> {
  const [store = expect.unreachable()] = stores;
  const ids = Array.from({ length: 30 }, (_, at) => `s${String(at).padStart(2, '0')}`);
  await Promise.all(ids.map((sessionId) => store.create(session({ sessionId }))));
  const created = await store.list(USER);
  const updates = ids.flatMap((id) => changesOf(`of-${id}`).map((change) => ({ id, change })));
  const settled = Promise.all(
    updates.map(({ id, change }, at) => stores[at % stores.length]?.update(USER, id, change)),
  );
  const seen = await versionsUntil(settled, store, ids[0] ?? '');
  expect(updates).toHaveLength(300);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  for (const reader of stores) {
    const found = await reader.list(USER, { includeCredentials: true });
    expect(found).toMatchObject(ids.map((id) => Object.assign({}, ...changesOf(`of-${id}`)) as object));
    expect(found.map(({ version }) => version)).toEqual(created.map(({ version = 0 }) => version + 10));
  }
}

/** The versions of a session, one reading after the other, while something goes on. */
async function versionsUntil(end: Promise<unknown>, store: SessionStore, sessionId: string): Promise<number[]> {
  const seen: number[] = [];
  let running = true;
  const stop = (): void => {
    running = false;
  };
  end.then(stop, stop);
  while (running) seen.push((await store.get(USER, sessionId))?.version ?? expect.unreachable());
  await end;
  return seen;
}

async function expectConflict(error: unknown): Promise<false> {
  expect((await failure(Promise.reject(error))).code).toBe('conflict');
  return false;
}
