import { readFileSync } from 'node:fs';
import { Markdown, optionRows, quotedIn, quotedInColumn } from 'test-support/readme';
import { describe, expect, it } from 'vitest';
import { backendRules } from '../src/backend-options.ts';
import { EnvironmentSessions } from '../src/environment-sessions.ts';
import {
  FileStorageBackend,
  type FileStorageOptions,
  MemoryStorageBackend,
  type MemoryStorageOptions,
  NeonStorageBackend,
  type NeonStorageOptions,
  PostgresStorageBackend,
  RedisStorageBackend,
  type RedisStorageOptions,
  SessionStoreError,
  type SessionStoreErrorCode,
} from '../src/index.ts';
import { CREDENTIAL_FIELDS, ENCRYPTED_FIELDS, FIELDS } from '../src/session-fields.ts';

const ROOT = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const readme = new Markdown(read('README.md'));

type AnyOption = keyof (FileStorageOptions & MemoryStorageOptions & NeonStorageOptions & RedisStorageOptions);
/** Held complete by the compiler. */
const OPTIONS: Readonly<Record<AnyOption, unknown>> = {
  ...Object.fromEntries(Object.entries(backendRules).map(([name, { fallback }]) => [name, fallback])),
  now: undefined,
  path: undefined,
  prefix: 'mcp:',
  schema: 'public',
  table: 'mcp_sessions',
  rls: 'off',
  admin: undefined,
} as Readonly<Record<AnyOption, unknown>>;

const CODES: Readonly<Record<SessionStoreErrorCode, true>> = {
  exists: true,
  not_found: true,
  conflict: true,
  validation: true,
  config: true,
  schema: true,
  encryption: true,
  corrupt: true,
  unavailable: true,
  locked: true,
  lock_lost: true,
  closed: true,
};

describe('tables of the documents', () => {
  const sql = Object.assign(async () => [], { query: async () => [], transaction: async () => [] });
  const redis = { options: {} } as ConstructorParameters<typeof RedisStorageBackend>[0];
  const make: Readonly<Record<string, (options: never) => unknown>> = {
    memory: (options) => new MemoryStorageBackend(options),
    file: (options) => new FileStorageBackend({ path: 'sessions.json', ...(options as object) }),
    redis: (options) => new RedisStorageBackend(redis, options),
    postgres: (options) => new PostgresStorageBackend(sql, options),
    neon: (options) => new NeonStorageBackend(sql, options),
  };

  /** No option accepts a symbol: one that is known says what it accepts. */
  function knows(backend: string, name: string): boolean {
    try {
      make[backend]?.({ [name]: Symbol() } as never);
    } catch (error) {
      if (SessionStoreError.is(error)) return error.message.startsWith(`Option ${name} must`);
    }
    return expect.unreachable(`${backend} took any ${name}`);
  }

  it('options: each is listed once, with its default and the backends that know it', () => {
    const rows = optionRows(readme, Object.keys(make));
    expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(OPTIONS).sort());
    for (const { name, fallback, owners } of rows) {
      expect([...owners].sort(), name).toEqual(
        Object.keys(make)
          .filter((backend) => knows(backend, name))
          .sort(),
      );
      const value = OPTIONS[name as AnyOption];
      // Others are described in words.
      if (value !== undefined) expect(fallback, name).toBe(String(value));
    }
  });

  it('environment: each variable that is read is listed once', () => {
    const sources = ['environment', 'select-backend', 'environment-sessions', 'encryption/open-vault', 'cli-client'];
    const used = sources.flatMap((name) => read(`src/${name}.ts`).match(/(?<=')[A-Z]+(?:_[A-Z]+)+(?=')/g) ?? []);
    const listed = quotedInColumn(readme, 'Environment').filter((name) => /^[A-Z_]+$/.test(name));
    expect(listed.sort()).toEqual([...new Set(used)].sort());
  });

  it('errors: each code is listed once, and whether it may be tried again', () => {
    const rows = readme.rowsUnder('Errors').filter((cells) => cells.length === 4);
    expect(rows.map(([code]) => quotedIn(code)[0]).sort()).toEqual(Object.keys(CODES).sort());
    for (const [code, , retryable] of rows) {
      const error = new SessionStoreError(quotedIn(code)[0] as SessionStoreErrorCode, '');
      expect(retryable, code).toBe(error.retryable ? 'yes' : 'no');
    }
  });

  it('methods: each is listed once', () => {
    const listed = quotedInColumn(readme, 'Methods').map((method) => method.split('(')[0]);
    const methods = Object.getOwnPropertyNames(EnvironmentSessions.prototype).filter((name) => name !== 'constructor');
    expect(listed.sort()).toEqual(methods.sort());
  });

  it('fields: each is listed once, and those that are credentials or encrypted', () => {
    const others = ['sessionId', 'userId', 'createdAt', 'status', 'updatedAt', 'expiresAt', 'version'];
    const fields = quotedInColumn(readme, 'Sessions');
    expect(fields.sort()).toEqual([...FIELDS, ...others].sort());
    expect(quotedInColumn(readme, 'Credentials').sort()).toEqual([...CREDENTIAL_FIELDS].sort());
    const sentence = /With a key, these fields are encrypted([^.]*)\./.exec(read('README.md'))?.[1];
    expect(quotedIn(sentence).sort()).toEqual([...ENCRYPTED_FIELDS].sort());
  });

  it('exports: each name is listed once', () => {
    const exported = [...read('src/index.ts').matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, names = '']) =>
      names.split(',').map((name) => name.trim().replace('type ', '')),
    );
    const listed = readme.rowsUnder('API').flatMap((cells) => cells.flatMap(quotedIn));
    const names = [...new Set(listed)].filter((name) => name !== 'encryption');
    expect(names.sort()).toEqual(exported.filter((name) => name !== '').sort());
  });
});
