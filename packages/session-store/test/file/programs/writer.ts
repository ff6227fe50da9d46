// One of several processes that write one session file. Its second argument names it, so that what it wrote is known.
import { flushCompileCache } from 'node:module';
import { FileStorageBackend } from '../../../src/file/index.ts';

const [path = '', name = '', operationTimeoutMs = '20000'] = process.argv.slice(2);
const store = new FileStorageBackend({
  path,
  encryption: '7c'.repeat(32),
  // A lock counts as that of a dead process after half of this, at least two seconds.
  operationTimeoutMs: Number(operationTimeoutMs),
});

const tell = (message: object): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve())),
  );

flushCompileCache();
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
  // A session that all of them count up, and the removal of what came before: the file stays small.
  await store.withLock(
    'shared',
    'counter',
    async () => {
      const counter = await store.get('shared', 'counter');
      const count = Number(counter?.metadata?.count) + 1;
      await store.update('shared', 'counter', { metadata: { count } }, { ifVersion: counter?.version });
      await tell({ counted: count });
    },
    { ttlMs: 1_000, waitMs: 60_000 },
  );
  if (number > 0) {
    await tell({ deleting: `${name}-${number - 1}` });
    await store.delete('writers', `${name}-${number - 1}`);
    await tell({ deleted: `${name}-${number - 1}` });
  }
}
