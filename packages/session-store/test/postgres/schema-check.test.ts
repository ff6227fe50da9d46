import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../src/sql/migrations/migrations.ts';
import { EXTEND, INSTALL } from '../../src/sql/names.ts';
import { installRole, installTable, KEY, newRecord } from '../sql-harness.ts';
import { problemOf, withDriver } from './schema-harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const [install, , extend] = MIGRATIONS.map(({ sql }) => sql) as [string, string, string];

describe('init', () => {
  it('init/no-table, init/no-columns: names the migration that is missing', async () => {
    const url = await server.createDatabase();
    expect(await problemOf(url)).toBe(`schema: Table public.mcp_sessions not found: run migration ${INSTALL}`);
    await queryOnce(url, install);
    expect(await problemOf(url)).toBe(
      `schema: Column auth_url missing in public.mcp_sessions: run migration ${EXTEND}`,
    );
  });

  it('init/missing-later: statements name what is missing as well', async () => {
    const url = await server.createDatabase();
    await withDriver(url, async (driver) => {
      await expect(driver.read(KEY, [])).rejects.toMatchObject({
        code: 'schema',
        message: `Table public.mcp_sessions not found: run migration ${INSTALL}`,
      });
      await queryOnce(url, install);
      await expect(driver.read(KEY, [])).rejects.toMatchObject({
        code: 'schema',
        message: expect.stringMatching(
          /^Column (version|pending_since) missing in public\.mcp_sessions: run migration/,
        ),
      });
      await expect(driver.insert(newRecord())).rejects.toMatchObject({ code: 'schema', outcome: 'not-applied' });
    });
  });

  it('init/unique-key: notices that the session id alone is unique, or nothing is', async () => {
    const url = await server.createDatabase();
    await installTable(url);
    await queryOnce(url, 'alter table public.mcp_sessions add unique (session_id)');
    const message = `schema: Unique key (user_id, session_id) missing in public.mcp_sessions: run migration ${EXTEND}`;
    expect(await problemOf(url)).toBe(message);
    await queryOnce(url, extend);
    expect(await problemOf(url)).toBeUndefined();
    await queryOnce(url, 'drop index public.uq_mcp_sessions_user_session');
    expect(await problemOf(url)).toBe(message);
    await withDriver(url, (driver) =>
      expect(driver.insert(newRecord())).rejects.toMatchObject({ code: 'schema', message: message.slice(8) }),
    );
  });

  it('init/rights: the documented grants are enough, and each one that is missing is named', async () => {
    const url = await server.createDatabase();
    await installTable(url);
    const roleUrl = await installRole(url);
    expect(await problemOf(roleUrl)).toBeUndefined();
    await withDriver(roleUrl, async (driver) => {
      await driver.insert(newRecord());
      await driver.patch(KEY, { kind: 'content', set: {}, unset: [] });
      await driver.acquireLease(KEY, 'a', 1_000);
      await driver.releaseLease(KEY, 'a');
      expect(await driver.sweep(10)).toEqual({ pending: 0, dormant: 0 });
      await driver.remove(KEY);
      await driver.clear();
    });
    await queryOnce(url, 'revoke update on public.mcp_sessions from mcp_service_role');
    expect(await problemOf(roleUrl)).toBe('schema: The database role may not update public.mcp_sessions');
    await withDriver(roleUrl, (driver) =>
      expect(driver.patch(KEY, { kind: 'touch', set: {}, unset: [] })).rejects.toMatchObject({
        code: 'schema',
        message: 'The database role may not update public.mcp_sessions',
        outcome: 'not-applied',
      }),
    );
  });

  it('init/no-changes: never changes the schema', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, install);
    const catalog = `select count(*)::text from pg_attribute where attrelid = 'public.mcp_sessions'::regclass`;
    const before = await queryOnce(url, catalog);
    await problemOf(url);
    expect(await queryOnce(url, catalog)).toEqual(before);
  });
});
