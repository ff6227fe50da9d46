import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { type PostgresServer, queryOnce, type Service, startPostgres, systemPostgres, waitFor } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../src/sql/migrations/migrate.ts';
import { MIGRATIONS } from '../../src/sql/migrations/migrations.ts';
import { tableNames } from '../../src/sql/names.ts';

const version = systemPostgres.find()?.version ?? '15';

/** The extension for Debian's PostgreSQL; the server from npm has none. */
const pgCron: Service<string> = {
  name: 'pg_cron',
  install: `apt-get install -y postgresql-${version}-cron`,
  find() {
    const system = systemPostgres.find();
    if (system === undefined) return undefined;
    const library = join(dirname(system.binDirectory), 'lib/pg_cron.so');
    return existsSync(library) ? library : undefined;
  },
};

describeWith(pgCron, 'migrations: pg_cron', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({
      distribution: 'system',
      settings: {
        shared_preload_libraries: 'pg_cron',
        'cron.database_name': 'postgres',
        'cron.use_background_workers': 'on',
      },
    });
  });
  afterAll(() => server.stop());

  it('migrations/cron: the jobs remove what has expired, and nothing else', { timeout: 120_000 }, async () => {
    const [install, cron, extend] = MIGRATIONS.map(({ sql }) => sql) as [string, string, string];
    for (const sql of [install, cron, cron, extend]) await queryOnce(server.url, sql);
    expect(await server.query('select jobname::text, schedule from cron.job order by jobname')).toEqual([
      { jobname: 'mcp-cleanup-dormant-sessions', schedule: '0 0 * * *' },
      { jobname: 'mcp-cleanup-transient-sessions', schedule: '*/5 * * * *' },
    ]);
    await server.query(
      `insert into public.mcp_sessions (session_id, user_id, server_url, transport_type, callback_url, expires_at, active, updated_at)
       values ('expired', 'u', 'x', 'sse', 'x', now() - interval '1 s', false, now()),
         ('pending', 'u', 'x', 'sse', 'x', now() + interval '1 h', false, now() - interval '40 d'),
         ('active', 'u', 'x', 'sse', 'x', now() - interval '1 s', true, now() - interval '29 d'),
         ('dormant', 'u', 'x', 'sse', 'x', now() + interval '1 d', true, now() - interval '31 d')`,
    );
    // Every minute is the shortest time that a schedule of this form can say; at the start of the server comes sooner.
    await server.query(`update cron.job set schedule = '@reboot'`);
    await server.restart();
    const left = async (): Promise<unknown[]> =>
      (await server.query('select session_id from public.mcp_sessions order by 1')).map(({ session_id }) => session_id);
    await waitFor(async () => (await left()).length < 3, { timeoutMs: 90_000, message: 'the jobs to run' });
    expect(await left()).toEqual(['active', 'pending']);
  });

  it('migrate/cron: the command line brings it on request', async () => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    try {
      const ran = await migrate(client, { names: tableNames(), cron: true });
      expect(ran).toEqual(MIGRATIONS.map(({ name }) => name));
      expect(await migrate(client, { names: tableNames(), cron: true })).toEqual([]);
    } finally {
      await client.end();
    }
    expect(await server.query('select from cron.job')).toHaveLength(2);
  });
});
