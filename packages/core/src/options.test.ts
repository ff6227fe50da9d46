import { describe, expect, it } from 'vitest';
import { option, readOptions, requireOneOf } from './options.ts';

const spec = {
  infoTtlMs: option.durationMs(7, { max: 100 }),
  keepAliveMs: option.durationMs(15, { min: 0 }),
  maxLogBytes: option.bytes(1024),
  create: option.boolean(true),
  connectionString: option.text(),
  tableName: option.text('tmcp_sessions'),
  namespace: option.name('default', 8),
  durability: option.oneOf(['commit', 'async'], 'commit'),
  onError: option.callback<(error: unknown) => void>(),
  pool: option.having<{ query(): unknown }>('query'),
};
const read = (given: unknown) => readOptions('Manager', given, spec);

describe('readOptions', () => {
  it('fills in defaults, and takes undefined for "not given"', () => {
    const defaults = {
      infoTtlMs: 7,
      keepAliveMs: 15,
      maxLogBytes: 1024,
      create: true,
      connectionString: undefined,
      tableName: 'tmcp_sessions',
      namespace: 'default',
      durability: 'commit',
      onError: undefined,
      pool: undefined,
    };
    expect(read(undefined)).toEqual(defaults);
    expect(read({})).toEqual(defaults);
    expect(read({ infoTtlMs: undefined, connectionString: undefined })).toEqual(defaults);
  });

  it('hands given values through, clients by identity', () => {
    const pool = { query: () => 1 };
    const given = { infoTtlMs: 100, keepAliveMs: 0, namespace: 'ä😀', durability: 'async', pool, create: false };
    expect(read(given)).toMatchObject(given);
    expect(read({ pool }).pool).toBe(pool);
  });

  it.each([
    [{ infoTtlMs: 0 }, 'option "infoTtlMs" must be a whole number of milliseconds from 1 to 100, got 0'],
    [{ infoTtlMs: 101 }, 'got 101'],
    [{ infoTtlMs: 1.5 }, 'got 1.5'],
    [{ infoTtlMs: Number.NaN }, 'got NaN'],
    [{ infoTtlMs: Number.POSITIVE_INFINITY }, 'got Infinity'],
    [{ infoTtlMs: '5' }, 'got a string'],
    [{ infoTtlMs: null }, 'got null'],
    [{ keepAliveMs: -1 }, 'option "keepAliveMs"'],
    [{ keepAliveMs: 2 ** 31 }, 'option "keepAliveMs"'],
    [{ maxLogBytes: 0 }, 'option "maxLogBytes" must be a whole number of bytes, at least 1'],
    [{ create: 'yes' }, 'option "create" must be true or false'],
    [{ connectionString: '' }, 'option "connectionString" must be text that is not empty, got empty text'],
    [{ namespace: 'a\nb' }, 'option "namespace"'],
    [{ namespace: '123456789' }, 'option "namespace"'],
    [{ namespace: '😀😀a' }, 'option "namespace"'],
    [{ namespace: '\ud800' }, 'option "namespace"'],
    [{ durability: 'toString' }, 'option "durability" must be one of "commit", "async"'],
    [{ onError: {} }, 'option "onError" must be a function'],
    [{ pool: {} }, 'option "pool" must be an object with query()'],
    [{ tablename: 'x' }, 'unknown option "tablename"; it knows infoTtlMs'],
    [{ toString: 1 }, 'unknown option "toString"'],
    [[], 'expects an object of options, got an array'],
    ['postgres://u:secret@h/d', 'expects an object of options, got a string'],
  ])('refuses %j', (given, message) => {
    expect(() => read(given)).toThrowError(expect.objectContaining({ code: 'invalid-option' }));
    expect(() => read(given)).toThrowError(message);
  });

  it('never shows text it was given: it may be a password', () => {
    expect(() => read({ create: 'secret' })).not.toThrowError('secret');
    expect(() => read('secret')).not.toThrowError('secret');
  });
});

describe('requireOneOf', () => {
  const check = (options: { a?: string; b?: string | undefined }) => requireOneOf('Manager', options, ['a', 'b']);

  it('accepts exactly one', () => {
    expect(() => check({ a: '1', b: undefined })).not.toThrow();
  });

  it('names what is missing and what contradicts', () => {
    expect(() => check({})).toThrowError('Manager: needs the option "a" or "b"');
    expect(() => check({ a: '1', b: '2' })).toThrowError('Manager: "a" and "b" cannot both be given');
  });
});
