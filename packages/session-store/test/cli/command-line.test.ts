import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort, type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../src/sql/migrations/migrations.ts';
import { EXTEND, INSTALL } from '../../src/sql/names.ts';
import { problemOf } from '../postgres/schema-harness.ts';
import { installRole } from '../sql-harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const [install] = MIGRATIONS.map(({ sql }) => sql) as [string, ...string[]];

type Ended = { readonly code: number; readonly out: string; readonly err: string };

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** Runs the command line with these variables, and with no other database in its environment. */
function cliWith(args: readonly string[], given: Readonly<Record<string, string>>): Promise<Ended> {
  const { NEON_DATABASE_URL: _neon, DATABASE_URL: _database, ...environment } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env: { ...environment, ...given } }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const cli = (args: readonly string[], url?: string): Promise<Ended> =>
  cliWith(args, url === undefined ? {} : { DATABASE_URL: url });

describe('command line', () => {
  it('cli/sql: what it prints can be applied', async () => {
    const url = await server.createDatabase();
    const { code, out } = await cli(['sql']);
    expect(code).toBe(0);
    expect(out).not.toContain('pg_cron');
    await queryOnce(url, out);
    expect(await problemOf(url)).toBeUndefined();
    expect((await cli(['sql', '--cron'])).out).toContain('mcp-cleanup-dormant-sessions');
  });

  it('cli/migrate: applies what is missing, once, and status tells', async () => {
    const url = await server.createDatabase();
    const before = await cli(['status'], url);
    expect(before.code).toBe(1);
    expect(before.out).toContain(`missing  ${INSTALL}`);
    expect(before.out).toContain(`Table public.mcp_sessions not found: run migration ${INSTALL}`);
    expect((await cli(['migrate'], url)).out).toBe(`applied  ${INSTALL}\napplied  ${EXTEND}\n`);
    expect((await cli(['migrate'], url)).out).toBe('Nothing to do\n');
    const after = await cli(['status'], url);
    expect(after).toMatchObject({ code: 0, out: expect.stringContaining(`applied  ${EXTEND}`) });
    expect(after.out).toContain('The table is ready');
    const rows = await queryOnce(
      url,
      'select name, length(checksum) as n from public.mcp_schema_migrations order by name',
    );
    expect(rows).toEqual([
      { name: INSTALL, n: 64 },
      { name: EXTEND, n: 64 },
    ]);
  });

  it('cli/repair: a table that others have changed is repaired', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, install); // By hand, as the page says.
    expect((await cli(['migrate'], url)).code).toBe(0);
    await queryOnce(url, install);
    expect((await cli(['status'], url)).code).toBe(1);
    expect((await cli(['migrate'], url)).out).toContain(EXTEND);
    expect(await problemOf(url)).toBeUndefined();
  });

  it('cli/checksum: another text under a known name stops everything', async () => {
    const url = await server.createDatabase();
    await cli(['migrate'], url);
    await queryOnce(url, `update public.mcp_schema_migrations set checksum = 'x' where name = '${INSTALL}'`);
    const result = await cli(['migrate'], url);
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain('was applied with another text');
    expect((await cli(['status'], url)).out).toContain(`changed  ${INSTALL}`);
  });
});

describe('command line, used wrongly', () => {
  it('cli/usage: what it cannot do is told with what it can, and nothing that was typed is repeated', async () => {
    expect(await cli([])).toMatchObject({ code: 1, err: expect.stringContaining('The command is sql') });
    const help = (await cli(['--help'])).out.trim();
    for (const args of [[], ['sql', 'postgresql://u:hidden-secret@host'], ['--hidden-secret=1'], ['sql', '--schema']]) {
      const { code, out, err } = await cli(args);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err.trim().endsWith(help)).toBe(true);
      expect(err).not.toContain('hidden-secret');
    }
  });

  it('cli/no-database: says which variables to set', async () => {
    for (const given of [{}, { DATABASE_URL: ' ', NEON_DATABASE_URL: '' }]) {
      expect(await cliWith(['status'], given)).toEqual({
        code: 1,
        out: '',
        err:
          'Set NEON_DATABASE_URL or DATABASE_URL to a direct connection string: ' +
          'postgresql://user:password@host:5432/database, with special characters encoded (@ is %40)\n',
      });
    }
  });

  it('cli/no-url: a connection string that is none is told by the name of its variable, and not shown', async () => {
    const strings = [
      'hidden-secret',
      'postgresql://u:hidden-secret@[bad',
      'postgresql://u:hidden-secret@host:port/db',
      'mysql://u:hidden-secret@host/db',
    ];
    for (const name of ['NEON_DATABASE_URL', 'DATABASE_URL']) {
      const results = await Promise.all(strings.map((value) => cliWith(['migrate'], { [name]: value })));
      for (const [at, result] of results.entries()) {
        expect([strings[at], result]).toEqual([
          strings[at],
          {
            code: 1,
            out: '',
            err:
              `${name} is not a valid postgresql URL: write ` +
              'postgresql://user:password@host:5432/database, with special characters encoded (@ is %40)\n',
          },
        ]);
      }
    }
  });

  it('cli/refused: a server that is not there, or lets nobody in, is told with what to check', async () => {
    const url = await server.createDatabase();
    const changed = (changes: Partial<URL>): string => Object.assign(new URL(url), changes).href;
    const port = String(await freePort());
    const cases: [string, string][] = [
      [changed({ port }), 'nothing listens at the address, check that the server runs, and host and port'],
      // One name, two addresses: the error around both has no text of its own.
      [changed({ port, hostname: 'localhost' }), 'nothing listens at the address'],
      [changed({ password: 'hidden-secret' }), 'check user, password and database'],
      [changed({ pathname: '/hidden-secret' }), 'check user, password and database'],
    ];
    for (const [address, advice] of cases) {
      const { code, out, err } = await cli(['status'], address);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toMatch(/^The database in DATABASE_URL cannot be used: /);
      expect(err).toContain(advice);
      expect(err).not.toContain('hidden-secret');
    }
  });

  it('cli/no-right: a role that may not make tables is told who may', async () => {
    const roleUrl = await installRole(await server.createDatabase(), 'cli_role', '');
    const { code, err } = await cli(['migrate'], roleUrl);
    expect(code).toBe(1);
    expect(err).toMatch(/^permission denied for schema public: run it as the owner of the table, or as an admin/);
  });

  it('cli/no-cron: a server without pg_cron is told what it lacks, and keeps what it had', async () => {
    const url = await server.createDatabase();
    const { code, err } = await cli(['migrate', '--cron'], url);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^pg_cron cannot be set up \(.+\): install it .* shared_preload_libraries .* cron\.database_name/,
    );
    expect((await cli(['status'], url)).out).toContain(`missing  ${INSTALL}`);
  });

  it('cli/no-pg: without the package everything but printing says what to install', async () => {
    const hook = fileURLToPath(new URL('../selection/programs/watch-imports.ts', import.meta.url));
    const without = { MISSING: 'pg', NODE_OPTIONS: `--import ${hook}`, DATABASE_URL: 'postgresql://u:p@127.0.0.1/db' };
    const { out } = await cli(['sql']);
    expect(await cliWith(['sql'], without)).toEqual({ code: 0, out, err: '' });
    for (const command of ['status', 'migrate']) {
      expect(await cliWith([command], without)).toEqual({
        code: 1,
        out: '',
        err: 'The command line needs the package pg: npm install pg\n',
      });
    }
  });
});
