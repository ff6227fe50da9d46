import { LiveStore } from './live-store.ts';
import type { ShardStore } from './shard-store.ts';
import { SqlStore } from './sql-store.ts';

/** One line per isolate is enough: all shards have the same class. */
let warned = false;

/** A class that was deployed with `new_classes` has `storage.sql`, but every use of it throws. */
export function openStore(storage: DurableObjectStorage): ShardStore {
  try {
    storage.sql.exec('SELECT 1');
  } catch {
    if (!warned) {
      warned = true;
      // biome-ignore lint/suspicious/noConsole: an object has no options, so no onError: this is its only voice.
      console.warn(
        '[tmcp sessions] configuration: the Durable Object class was deployed with "new_classes" and has no SQL: ' +
          'streams work while they are open, but nothing is replayed, and session info and subscriptions need KV. ' +
          'The README of @tmcp/session-manager-durable-objects tells how to move to "new_sqlite_classes".',
      );
    }
    return new LiveStore();
  }
  return new SqlStore(storage);
}
