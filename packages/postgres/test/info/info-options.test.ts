import { describe, expect, it, vi } from 'vitest';
import {
  PostgresInfoSessionManager,
  type PostgresInfoSessionManagerOptions,
} from '../../src/postgres-info-session-manager.ts';

const URL_ = 'postgres://user:topsecret@localhost:5432/database';
const pool = { query: async () => ({ rows: [] }) };

describe('options', () => {
  it.each<[string, object | undefined, RegExp]>([
    ['neither connection', {}, /needs the option "connectionString" or "pool"/],
    ['nothing at all', undefined, /needs the option "connectionString" or "pool"/],
    ['two connections', { connectionString: URL_, pool }, /"connectionString" and "pool" cannot both be given/],
    ['a pool without query()', { pool: {} }, /option "pool" must be an object with query\(\)/],
    ['another database', { connectionString: 'mysql://u:topsecret@h/d' }, /option "connectionString" must look like/],
    ['what the driver cannot read', { connectionString: 'postgres://u:topsecret@[/d' }, /cannot be read by the driver/],
    ['an unknown option', { connectionString: URL_, tablename: 'x' }, /unknown option "tablename"/],
    ['an unknown table', { connectionString: URL_, tableNames: { info: 'x' } }, /"tableNames": unknown option "info"/],
    ['a bad table name', { connectionString: URL_, tableNames: { clientInfo: 'a.b' } }, /option "clientInfo" must be/],
    ['a long table name', { connectionString: URL_, tableNames: { logLevel: 'x'.repeat(41) } }, /1 to 40 bytes/],
    ['one table for two', { connectionString: URL_, tableNames: { clientInfo: 'x', logLevel: 'x' } }, /four different/],
    ['no time to live', { connectionString: URL_, infoTtlMs: 0 }, /option "infoTtlMs"/],
    ['a bad namespace', { connectionString: URL_, namespace: 'a\n' }, /option "namespace"/],
    ['pool size of a pool', { pool, maxConnections: 2 }, /"maxConnections" needs "connectionString"/],
    ['create that is text', { connectionString: URL_, create: 'false' }, /option "create" must be true or false/],
  ])('info-options: %s is refused', (_, options, message) => {
    const make = () => new PostgresInfoSessionManager(options as PostgresInfoSessionManagerOptions);
    expect(make).toThrowError(expect.objectContaining({ code: 'invalid-option' }));
    expect(make).toThrowError(message);
    expect(make).not.toThrowError('topsecret');
  });

  it('info-options: nothing connects before the first call', async () => {
    const query = vi.fn(pool.query);
    const manager = new PostgresInfoSessionManager({ pool: { query } });
    await new PostgresInfoSessionManager({ connectionString: 'postgres://nowhere.invalid/none' }).close();
    await manager.close();
    expect(query).not.toHaveBeenCalled();
  });
});
