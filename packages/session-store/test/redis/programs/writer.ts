// One of several processes on one Redis: adds up a counter under its lock, and creates and deletes sessions of its own.
import { flushCompileCache } from 'node:module';
import { SessionStoreError } from '../../../src/errors.ts';
import { createRedisStorageBackend } from '../../../src/redis/index.ts';

flushCompileCache();

const [url = '', name = ''] = process.argv.slice(2);
const store = await createRedisStorageBackend(url, { encryption: '7c'.repeat(32) });

/** Resolves when the parent has it, so that what was told is never more than what was done. */
const tell = (message: object): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });

async function addOne(): Promise<void> {
  const key = ['shared', 'counter'] as const;
  try {
    await store.withLock(
      ...key,
      async () => {
        const counter = await store.get(...key);
        const count = Number(counter?.metadata?.count) + 1;
        await store.update(...key, { metadata: { count } }, { ifVersion: counter?.version });
        await tell({ counted: count });
      },
      { ttlMs: 1_000, waitMs: 60_000 },
    );
  } catch (error) {
    // On a busy machine a process can stand still for longer than its lock lasts: the version kept it from writing.
    if (!SessionStoreError.is(error) || (error.code !== 'lock_lost' && error.code !== 'conflict')) throw error;
  }
}

process.on('disconnect', () => process.exit());
for (let number = 0; ; number += 1) {
  const session = {
    userId: 'writers',
    sessionId: `${name}-${number}`,
    serverUrl: 'https://server',
    callbackUrl: 'https://callback',
    transportType: 'sse',
    status: 'active',
    createdAt: Date.now(),
    tokens: { access_token: `token-of-${name}-${number}`, token_type: 'Bearer' },
  } as const;
  await store.create(session);
  await tell({ created: session.sessionId });
  await addOne();
  if (number % 2 === 0) continue;
  await tell({ deleting: session.sessionId });
  await store.delete(session.userId, session.sessionId);
  await tell({ deleted: session.sessionId });
}
