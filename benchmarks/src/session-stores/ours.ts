import { neon, neonConfig } from '@neondatabase/serverless';
import {
  createNeonStorageBackend,
  createPostgresStorageBackend,
  createRedisStorageBackend,
  FileStorageBackend,
  MemoryStorageBackend,
  type SessionStore,
  SessionStoreError,
} from '@tmcp/session-store';
import { Pool } from 'pg';
import { COUNTER, type MeasuredStore, type SampleSession } from './measured-store.ts';
import type { StoreKind } from './place.ts';

const KEY = '5c'.repeat(32);

/** This project's store. */
export async function openOurStore(kind: StoreKind, url: string, encrypted: boolean): Promise<MeasuredStore> {
  const encryption = encrypted ? KEY : false;
  const pool = kind === 'postgres' ? new Pool({ connectionString: url }) : undefined;
  const open: Readonly<Record<StoreKind, () => SessionStore | Promise<SessionStore>>> = {
    memory: () => new MemoryStorageBackend({ encryption }),
    file: () => new FileStorageBackend({ path: url, encryption }),
    redis: () => createRedisStorageBackend(url, { encryption }),
    postgres: () => createPostgresStorageBackend(pool as Pool, { encryption }),
    neon: () => {
      neonConfig.fetchEndpoint = (host, port) => `http://${host}:${port}/sql`;
      return createNeonStorageBackend(neon(url), { encryption });
    },
  };
  const store = await open[kind]();
  await store.init();
  return {
    create: (session) => store.create({ ...session, transportType: 'streamable-http', status: 'active' }),
    get: async (userId, sessionId) =>
      (await store.get(userId, sessionId, { includeCredentials: true })) as SampleSession | null,
    list: async (userId) => (await store.list(userId, { includeCredentials: true })).length,
    listOpen: async (userId) => (await store.list(userId)).length,
    update: (userId, sessionId, change) => store.update(userId, sessionId, change),
    increment: async (userId, sessionId) => {
      while (!(await tryIncrement(store, userId, sessionId)));
    },
    close: async () => {
      await store.disconnect();
      await pool?.end();
    },
  };
}

/** @returns false when another was first */
async function tryIncrement(store: SessionStore, userId: string, sessionId: string): Promise<boolean> {
  const session = await store.get(userId, sessionId);
  if (session === null) throw new Error('the session is gone');
  const count = Number(session.headers?.[COUNTER]) + 1;
  const headers = { ...session.headers, [COUNTER]: String(count) };
  try {
    await store.update(userId, sessionId, { headers }, { ifVersion: session.version });
    return true;
  } catch (error) {
    if (error instanceof SessionStoreError && error.code === 'conflict') return false;
    throw error;
  }
}
