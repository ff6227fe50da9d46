// One of several processes that write one table. Its second argument names it, so that what it wrote is known.
import { flushCompileCache } from 'node:module';
import { Pool } from 'pg';
import { SessionStoreError } from '../../../src/errors.ts';
import { PostgresStorageBackend } from '../../../src/postgres/index.ts';

flushCompileCache();

const [url = '', name = ''] = process.argv.slice(2);
const pool = new Pool({ connectionString: url, max: 2 });
const store = new PostgresStorageBackend(pool, { encryption: '7c'.repeat(32) });

const tell = (message: object): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve())),
  );

/** All of them count one session up, each under its lock and by its version. */
async function count(): Promise<void> {
  try {
    await store.withLock(
      'shared',
      'counter',
      async () => {
        const counter = await store.get('shared', 'counter');
        const next = Number(counter?.metadata?.count) + 1;
        await store.update('shared', 'counter', { metadata: { count: next } }, { ifVersion: counter?.version });
        await tell({ counted: next });
      },
      { ttlMs: 1_000, waitMs: 60_000 },
    );
  } catch (error) {
    // A process that stood still for longer than its lock lasts has lost it; the version kept it from writing.
    if (!SessionStoreError.is(error) || !['lock_lost', 'conflict'].includes(error.code)) throw error;
  }
}

process.on('disconnect', () => process.exit());
for (let number = 0; ; number += 1) {
  const sessionId = `${name}-${number}`;
  await store.create({
    sessionId,
    userId: 'writers',
    serverUrl: 'https://mcp.example',
    callbackUrl: 'https://app.example',
    transportType: 'sse',
    status: 'active',
    createdAt: Date.now(),
    tokens: { access_token: `token-of-${sessionId}`, token_type: 'Bearer' },
  });
  await tell({ created: sessionId });
  await count();
  if (number % 2 === 0) continue;
  await tell({ deleting: sessionId });
  await store.delete('writers', sessionId);
  await tell({ deleted: sessionId });
}
