import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { FileStorageBackend, PostgresStorageBackend, RedisStorageBackend, type SessionStore } from '../../src/index.ts';

export type Place = { readonly backend: 'file' | 'redis' | 'postgres'; readonly address: string };

export type OpenStore = { readonly store: SessionStore; readonly close: () => Promise<void> };

const options = { encryption: '5a'.repeat(32) };

/** A store as a process has it: on a connection of its own. */
export function openStore({ backend, address }: Place): OpenStore {
  if (backend === 'file') {
    const store = new FileStorageBackend({ path: address, ...options });
    return { store, close: () => store.disconnect() };
  }
  if (backend === 'redis') {
    const client = new Redis(address);
    const store = new RedisStorageBackend(client, options);
    return {
      store,
      close: async () => {
        await store.disconnect();
        client.disconnect();
      },
    };
  }
  const pool = new Pool({ connectionString: address, max: 2 });
  const store = new PostgresStorageBackend(pool, options);
  return {
    store,
    close: async () => {
      await store.disconnect();
      await pool.end();
    },
  };
}
