import { statfsSync } from 'node:fs';
import { cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os';
import { Client } from 'pg';
import type { PostgresServer } from 'test-support';
import { median } from './measure/statistics.ts';

/** Milliseconds of an update of one row with its commit: the flush to disk is most of it. */
export async function measureCommit(server: PostgresServer): Promise<number> {
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

/** What the figures depend on. */
export async function describeMachine(server: PostgresServer, commitMs: number): Promise<[string, string][]> {
  const [row] = await server.query<{ version: string; fsync: string; directory: string }>(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync,
       current_setting('data_directory') as directory`,
  );
  const processors = cpus();
  const load = loadavg().map((value) => value.toFixed(2));
  return [
    ['date', `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ['processor', `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown'}`],
    ['memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['system', `${platform()} ${release()}`],
    ['Node.js', process.version],
    ['PostgreSQL', `${row?.version}, default settings, fsync ${row?.fsync}${isInMemory() ? ', ON A MEMORY DISK' : ''}`],
    ['one commit (update of one row)', `${commitMs.toFixed(2)} ms`],
    ['load of the machine before it began (1, 5, 15 min)', load.join(', ')],
  ];
}

const TMPFS = 0x01021994;

/** A commit costs nothing there. */
function isInMemory(): boolean {
  return platform() === 'linux' && statfsSync(tmpdir()).type === TMPFS;
}
