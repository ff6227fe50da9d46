import {
  createNeonStorageBackend,
  createPostgresStorageBackend,
  createRedisStorageBackend,
  FileStorageBackend,
  MemoryStorageBackend,
  NeonStorageBackend,
  PostgresStorageBackend,
  RedisStorageBackend,
  SessionStoreError,
} from '@tmcp/session-store';
import { describe, expect, it } from 'vitest';

const SECRET = 'SECRET-of-the-caller';
const unused = async (): Promise<never> => {
  throw new Error('nothing may be sent');
};
const redis = { status: 'wait', options: {}, call: unused, pipeline: unused, on: unused, off: unused } as never;
const neon = { query: unused, transaction: unused } as never;

/** Every way to make a store, with options that may be anything. */
const MAKERS: Readonly<Record<string, (options: never) => unknown>> = {
  MemoryStorageBackend: (options) => new MemoryStorageBackend(options),
  FileStorageBackend: (options) => new FileStorageBackend(options),
  RedisStorageBackend: (options) => new RedisStorageBackend(redis, options),
  createRedisStorageBackend: (options) => createRedisStorageBackend('redis://127.0.0.1:1', options),
  PostgresStorageBackend: (options) => new PostgresStorageBackend(unused, options),
  createPostgresStorageBackend: (options) => createPostgresStorageBackend(unused, options),
  NeonStorageBackend: (options) => new NeonStorageBackend(neon, options),
  createNeonStorageBackend: (options) => createNeonStorageBackend(neon, options),
};

/** Every way that is given a client or an address. */
const CLIENT_MAKERS: Readonly<Record<string, (client: never) => unknown>> = {
  RedisStorageBackend: (client) => new RedisStorageBackend(client),
  createRedisStorageBackend: (client) => createRedisStorageBackend(client),
  PostgresStorageBackend: (client) => new PostgresStorageBackend(client),
  createPostgresStorageBackend: (client) => createPostgresStorageBackend(client),
  NeonStorageBackend: (client) => new NeonStorageBackend(client),
  createNeonStorageBackend: (client) => createNeonStorageBackend(client),
};

const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  encryption: [true, 0, '', null, [], { keys: 5 }, { keys: '' }, { nonsense: 1 }],
  requireEncryption: ['yes', 1, null],
  pendingMs: [0, -1, 1.5, Number.NaN, '1000', null, Number.MAX_SAFE_INTEGER],
  maxPendingMs: [0, '1000', null],
  dormantMs: [0, '1000', null],
  operationTimeoutMs: [0, '1000', null, 3_600_001],
  maxRecordBytes: [0, 1_023, '4096', null],
  onError: ['log', {}, null],
};

async function failureOf(make: () => unknown): Promise<SessionStoreError> {
  const error: unknown = await (async () => make())().then(
    () => expect.unreachable('it was made'),
    (reason: unknown) => reason,
  );
  if (!SessionStoreError.is(error)) throw error;
  expect(error.code).toBe('config');
  expect(error.message).not.toContain(SECRET);
  return error;
}

describe.for(Object.entries(MAKERS))('options/%s', ([name, make]) => {
  const valid = name === 'FileStorageBackend' ? { path: '/nowhere/sessions.json' } : {};

  it('options/not-an-object: is refused by name of the rule', async () => {
    for (const options of [null, SECRET, 5, true, [], () => undefined, Symbol(SECRET)]) {
      expect((await failureOf(() => make(options as never))).message).toBe('Options must be an object');
    }
  });

  it('options/unknown: a name that does not exist is refused', async () => {
    const options = { ...valid, operationTimeoutMS: SECRET };
    expect((await failureOf(() => make(options as never))).message).toBe('Unknown option operationTimeoutMS');
  });

  it('options/wrong-type: names the option and what it must be, not what it was', async () => {
    for (const [option, values] of Object.entries(WRONG)) {
      for (const value of values) {
        const { message } = await failureOf(() => make({ ...valid, [option]: value } as never));
        expect(message).toMatch(/^(Option \w+ must be |Unknown option nonsense$)/);
      }
    }
  });
});

describe.for(Object.entries(CLIENT_MAKERS))('clients/%s', ([, make]) => {
  it('clients/not-one: what is no client or address is refused with what is needed', async () => {
    for (const client of [undefined, null, 5, SECRET, {}, [], { options: null }, { query: SECRET }]) {
      expect((await failureOf(() => make(client as never))).message).toMatch(/needs|valid redis URL/);
    }
  });
});

describe('options of one backend', () => {
  it('options/file-path: is needed, and must be text', async () => {
    for (const path of [undefined, null, '', 5, new URL('file:///x')]) {
      const { message } = await failureOf(() => new FileStorageBackend({ path } as never));
      expect(message).toBe('Option path must be text that is not empty');
    }
    expect((await failureOf(() => new FileStorageBackend(undefined as never))).message).toContain(
      'Option path must be',
    );
  });

  it('options/clock: must be a function', async () => {
    for (const now of [5, null, '']) {
      await failureOf(() => new MemoryStorageBackend({ now } as never));
      await failureOf(() => new FileStorageBackend({ path: 'x', now } as never));
    }
  });

  it('options/sql: names that are none, an unknown mode and an administrator that is no client are refused', async () => {
    for (const options of [
      ...[5, null, '', 'a-b', 'a b', '"', '1a', 'a'.repeat(64)].flatMap((name) => [{ schema: name }, { table: name }]),
      ...[true, 'on', null].map((rls) => ({ rls })),
      ...[5, {}, null, 'x'].map((admin) => ({ rls: 'tenant', admin })),
    ]) {
      expect((await failureOf(() => new NeonStorageBackend(neon, options as never))).message).toMatch(
        /^Option (schema|table|rls|admin) must be /,
      );
    }
  });

  it('options/redis-prefix: must be text without braces', async () => {
    for (const prefix of [5, null, '', 'a{', '}']) {
      const { message } = await failureOf(() => new RedisStorageBackend(redis, { prefix } as never));
      expect(message).toMatch(/^Option prefix must be /);
    }
  });
});
