import { statfsSync } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { Client } from 'pg';
import { type PostgresServer, startPostgres } from 'test-support';
import { median } from '../measure/statistics.ts';
import type { Backend } from './backend.ts';

/** One server that flushes to a real disk, and a database of its own for each contender. */
export async function startPostgresBackend(): Promise<Backend> {
  const server = await startPostgres({ settings: { fsync: true } });
  const commitMs = await measureCommit(server);
  return {
    name: 'postgres',
    title: 'PostgreSQL',
    commitMs,
    description: await describe(server, commitMs),
    createPlace: async () => ({ url: await server.createDatabase(), [Symbol.asyncDispose]: async () => undefined }),
    stop: () => server.stop(),
  };
}

/** Milliseconds of an update of one row with its commit: the flush to disk is most of it. */
async function measureCommit(server: PostgresServer): Promise<number> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    await client.query('create table commit_time as select 0 as n');
    const times: number[] = [];
    for (let i = 0; i < 500; i += 1) {
      const at = performance.now();
      await client.query({ name: 'commit', text: 'update commit_time set n = n + 1' });
      times.push(performance.now() - at);
    }
    await client.query('drop table commit_time');
    return median(times);
  } finally {
    await client.end();
  }
}

async function describe(server: PostgresServer, commitMs: number): Promise<[string, string][]> {
  const [row] = await server.query<{ version: string; fsync: string }>(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync`,
  );
  return [
    ['PostgreSQL', `${row?.version}, default settings, fsync ${row?.fsync}${isInMemory() ? ', ON A MEMORY DISK' : ''}`],
    ['one commit (update of one row)', `${commitMs.toFixed(2)} ms`],
  ];
}

const TMPFS = 0x01021994;

/** A commit costs nothing there. */
function isInMemory(): boolean {
  return platform() === 'linux' && statfsSync(tmpdir()).type === TMPFS;
}
