import { describe, expect, it } from 'vitest';
import { type BackendChoice, selectBackend } from '../../src/select-backend.ts';

const REDIS = 'redis://user:SECRET@127.0.0.1:6379/1';
const NEON = 'postgresql://role:SECRET@ep-x.neon.tech/db?sslmode=verify-full&channel_binding=require';

function select(variables: Readonly<Record<string, string>>): { choice: BackendChoice; warnings: string[] } {
  const warnings: string[] = [];
  // As `environment.ts` reads them.
  const read = (name: string): string | undefined => variables[name]?.trim() || undefined;
  return { choice: selectBackend(read, (message) => warnings.push(message)), warnings };
}

function refused(variables: Readonly<Record<string, string>>): string {
  try {
    select(variables);
  } catch (error) {
    expect(error).toMatchObject({ name: 'SessionStoreError', code: 'config', retryable: false });
    return (error as Error).message;
  }
  return expect.unreachable('something was selected');
}

describe('selection', () => {
  it.each<[string, Record<string, string>, BackendChoice]>([
    ['nothing', {}, { backend: 'memory' }],
    [
      'the type memory, whatever else is set',
      { MCP_TS_STORAGE_TYPE: 'memory', REDIS_URL: REDIS },
      { backend: 'memory' },
    ],
    [
      'the type redis',
      { MCP_TS_STORAGE_TYPE: 'redis', REDIS_URL: REDIS, NEON_DATABASE_URL: NEON },
      { backend: 'redis', url: REDIS },
    ],
    [
      'the type neon',
      { MCP_TS_STORAGE_TYPE: 'neon', NEON_DATABASE_URL: NEON },
      { backend: 'neon', url: NEON, variable: 'NEON_DATABASE_URL' },
    ],
    [
      'the type neon with DATABASE_URL',
      { MCP_TS_STORAGE_TYPE: 'neon', DATABASE_URL: NEON },
      { backend: 'neon', url: NEON, variable: 'DATABASE_URL' },
    ],
    [
      'the type neon with both',
      { MCP_TS_STORAGE_TYPE: 'neon', DATABASE_URL: 'postgres://other.example/db', NEON_DATABASE_URL: NEON },
      { backend: 'neon', url: NEON, variable: 'NEON_DATABASE_URL' },
    ],
    [
      'the type file',
      { MCP_TS_STORAGE_TYPE: 'file', MCP_TS_STORAGE_FILE: 'a.json' },
      { backend: 'file', path: 'a.json' },
    ],
    ['REDIS_URL alone', { REDIS_URL: REDIS }, { backend: 'redis', url: REDIS }],
    ['a TLS address', { REDIS_URL: 'rediss://h.example:6380' }, { backend: 'redis', url: 'rediss://h.example:6380' }],
    [
      'NEON_DATABASE_URL alone',
      { NEON_DATABASE_URL: NEON },
      { backend: 'neon', url: NEON, variable: 'NEON_DATABASE_URL' },
    ],
    ['DATABASE_URL alone, which says nothing', { DATABASE_URL: NEON }, { backend: 'memory' }],
    ['MCP_TS_STORAGE_FILE alone', { MCP_TS_STORAGE_FILE: './s.json' }, { backend: 'file', path: './s.json' }],
    [
      'blanks',
      { MCP_TS_STORAGE_TYPE: '  ', REDIS_URL: '', MCP_TS_STORAGE_FILE: ' x ' },
      { backend: 'file', path: 'x' },
    ],
    [
      'sqlite beside a detected one',
      { MCP_TS_STORAGE_SQLITE_PATH: 'x.db', MCP_TS_STORAGE_FILE: 'f' },
      { backend: 'file', path: 'f' },
    ],
  ])('selection/chooses: %s', (_title, variables, expected) => {
    const { choice, warnings } = select(variables);
    expect(choice).toEqual(expected);
    expect(warnings).toEqual([]);
  });

  it.each<[Record<string, string>, string]>([
    [{ MCP_TS_STORAGE_TYPE: 'mongo' }, 'Unknown MCP_TS_STORAGE_TYPE "mongo": use memory, file, redis or neon'],
    [{ MCP_TS_STORAGE_TYPE: REDIS }, 'Unknown MCP_TS_STORAGE_TYPE (not shown): use memory, file, redis or neon'],
    [
      { MCP_TS_STORAGE_TYPE: 'x'.repeat(33) },
      'Unknown MCP_TS_STORAGE_TYPE (not shown): use memory, file, redis or neon',
    ],
    [{ MCP_TS_STORAGE_TYPE: 'sqlite' }, 'MCP_TS_STORAGE_TYPE=sqlite is not supported: use memory, file, redis or neon'],
    [
      { MCP_TS_STORAGE_TYPE: 'supabase' },
      'MCP_TS_STORAGE_TYPE=supabase is not supported: use memory, file, redis or neon',
    ],
    [{ MCP_TS_STORAGE_TYPE: 'redis', NEON_DATABASE_URL: NEON }, 'MCP_TS_STORAGE_TYPE=redis needs REDIS_URL'],
    [{ MCP_TS_STORAGE_TYPE: 'file', REDIS_URL: REDIS }, 'MCP_TS_STORAGE_TYPE=file needs MCP_TS_STORAGE_FILE'],
    [
      { MCP_TS_STORAGE_TYPE: 'neon', REDIS_URL: REDIS },
      'MCP_TS_STORAGE_TYPE=neon needs NEON_DATABASE_URL or DATABASE_URL',
    ],
    [{ REDIS_URL: 'http://SECRET@host' }, 'REDIS_URL is not a valid redis URL'],
    [{ REDIS_URL: 'SECRET' }, 'REDIS_URL is not a valid redis URL'],
    [{ REDIS_URL: 'redis://' }, 'REDIS_URL is not a valid redis URL'],
    [{ NEON_DATABASE_URL: 'mysql://SECRET@host/db' }, 'NEON_DATABASE_URL is not a valid postgresql URL'],
    [
      { MCP_TS_STORAGE_TYPE: 'neon', DATABASE_URL: 'host=x password=SECRET' },
      'DATABASE_URL is not a valid postgresql URL',
    ],
    [
      { MCP_TS_STORAGE_SQLITE_PATH: 'x.db' },
      'MCP_TS_STORAGE_SQLITE_PATH is not supported: use memory, file, redis or neon',
    ],
  ])('selection/refuses: %o', (variables, message) => {
    expect(refused(variables)).toBe(message);
  });

  it('selection/several: the strongest is chosen and named', () => {
    expect(select({ REDIS_URL: REDIS, NEON_DATABASE_URL: NEON, MCP_TS_STORAGE_FILE: 'f' })).toEqual({
      choice: { backend: 'redis', url: REDIS },
      warnings: ['Several storage backends are configured (redis, neon, file): using redis'],
    });
    expect(select({ NEON_DATABASE_URL: NEON, MCP_TS_STORAGE_FILE: 'f' }).warnings).toEqual([
      'Several storage backends are configured (neon, file): using neon',
    ]);
  });

  it('selection/strongest-is-final: when it is not valid, the next one is not taken', () => {
    expect(refused({ REDIS_URL: 'nonsense', MCP_TS_STORAGE_FILE: 'f' })).toBe('REDIS_URL is not a valid redis URL');
  });

  it('selection/supabase: its address is set for other reasons, which is worth a warning', () => {
    const { choice, warnings } = select({ SUPABASE_URL: 'https://SECRET.supabase.co' });
    expect(choice).toEqual({ backend: 'memory' });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).not.toContain('SECRET');
    expect(select({ SUPABASE_URL: 'https://x', MCP_TS_STORAGE_FILE: 'f' }).warnings).toEqual([]);
  });
});
