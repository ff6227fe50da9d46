import { SessionError } from '@tmcp/session-manager';
import { Pool } from 'pg';
import { describe, expect, it } from 'vitest';
import type { PostgresConnectionOptions } from '../src/options.ts';
import { PostgresConnection } from '../src/postgres-connection.ts';

const URL = 'postgres://user:top-secret-password@db.example/app';

/** What a constructor says about its options. */
function refusal(options: object): string {
  try {
    new PostgresConnection(options as PostgresConnectionOptions, 'Manager');
  } catch (error) {
    expect(SessionError.is(error) && error.code).toBe('invalid-option');
    const { message } = error as Error;
    expect(message).not.toMatch(/top-secret|db\.example/);
    return message;
  }
  return 'accepted';
}

describe('options of a connection', () => {
  it.each<[string, object, RegExp]>([
    ['nothing to connect to', {}, /^Manager: needs the option "connectionString" or "pool"/],
    ['two things to connect to', { connectionString: URL, pool: new Pool() }, /cannot both be given/],
    ['a client in place of a pool', { pool: { query() {} } }, /"pool" must be an object with connect\(\)/],
    ['an unknown option', { connectionString: URL, tablename: 'x' }, /unknown option "tablename"/],
    [
      'another kind of address',
      { connectionString: 'host=db.example password=top-secret' },
      /must look like postgres:/,
    ],
    ['an address that cannot be read', { connectionString: `${URL}?sslrootcert=/nowhere` }, /cannot be read/],
    ['a bad address for listening', { connectionString: URL, listenConnectionString: 'db.example' }, /"listenConn/],
    [
      'a qualified table name',
      { connectionString: URL, tableName: 'app.sessions' },
      /"tableName" must be 1 to 40 bytes/,
    ],
    ['a table name with quotes', { connectionString: URL, tableName: 'x"; drop' }, /"tableName"/],
    ['a table name of 41 bytes', { connectionString: URL, tableName: `${'語'.repeat(13)}xx` }, /"tableName"/],
    ['an empty schema', { connectionString: URL, schema: '' }, /"schema"/],
    ['no time at all', { connectionString: URL, callTimeoutMs: 0 }, /"callTimeoutMs"/],
    ['a size for a pool that is there', { pool: new Pool(), maxConnections: 3 }, /"maxConnections" needs/],
  ])('options/refused: %s', (_, options, message) => {
    expect(refusal(options)).toMatch(message);
  });

  it('options/accepted: undefined is not given, and nothing connects before the first call', () => {
    expect(refusal({ connectionString: URL, pool: undefined, tableName: undefined, create: undefined })).toBe(
      'accepted',
    );
    expect(refusal({ connectionString: 'postgresql://db.example/app?sslmode=no-verify' })).toBe('accepted');
  });
});
