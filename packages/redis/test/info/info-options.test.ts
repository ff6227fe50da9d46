import { inspect } from 'node:util';
import { SessionError } from '@tmcp/session-manager';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { RedisInfoSessionManager, type RedisInfoSessionManagerOptions, redisSessions } from '../../src/index.ts';

const URL_ = 'redis://user:topsecret@localhost:6379/0';
const client = new Redis({ lazyConnect: true });

describe('options', () => {
  it.each<[string, object | undefined, RegExp]>([
    ['neither connection', {}, /needs the option "url" or "client"/],
    ['nothing at all', undefined, /needs the option "url" or "client"/],
    ['two connections', { url: URL_, client }, /"url" and "client" cannot both be given/],
    ['a client without its methods', { client: { call() {} } }, /option "client" must be an object with call\(\)/],
    ['another database', { url: 'mysql://u:topsecret@h/d' }, /option "url" must look like redis:/],
    ['no URL at all', { url: 'localhost:6379' }, /option "url" must look like redis:/],
    ['an address that nobody can read', { url: 'redis://u:topsecret@[/0' }, /option "url" must look like redis:/],
    ['an unknown option', { url: URL_, keyprefix: 'x' }, /unknown option "keyprefix"/],
    ['braces in the prefix', { url: URL_, keyPrefix: 'a{b}' }, /option "keyPrefix" must be .* without braces/],
    ['an empty prefix', { url: URL_, keyPrefix: '' }, /option "keyPrefix"/],
    ['a long prefix', { url: URL_, keyPrefix: 'é'.repeat(33) }, /option "keyPrefix" must be text of 1 to 64 bytes/],
    ['no time to live', { url: URL_, infoTtlMs: 0 }, /option "infoTtlMs"/],
    ['a bad namespace', { url: URL_, namespace: 'a\n' }, /option "namespace"/],
    ['time that is text', { url: URL_, sendTimeoutMs: '5s' }, /option "sendTimeoutMs" must be a whole number/],
  ])('info-options: %s is refused', (_, options, message) => {
    for (const make of [
      () => new RedisInfoSessionManager(options as RedisInfoSessionManagerOptions),
      () => redisSessions(options as RedisInfoSessionManagerOptions),
    ]) {
      const refusal = refusalOf(make);
      expect(refusal.code).toBe('invalid-option');
      expect(refusal.message).toMatch(message);
      expect(inspect(refusal)).not.toMatch(/topsecret|localhost:6379/);
    }
  });

  it('info-options: a text is a URL, and says so where it is none', () => {
    const refusal = refusalOf(() => new RedisInfoSessionManager('user:topsecret@localhost'));
    expect(refusal.message).toBe(
      'RedisInfoSessionManager: option "url" must look like redis://user:password@host:6379/0',
    );
  });

  it('info-options: nothing connects before the first call, and nothing has to', async () => {
    const managers = [
      new RedisInfoSessionManager('redis://nowhere.invalid'),
      new RedisInfoSessionManager({ client }),
      redisSessions('rediss://nowhere.invalid:6380/3'),
    ];
    await Promise.all(managers.map((manager) => manager.close()));
    expect(client.status).toBe('wait');
  });
});

function refusalOf(make: () => unknown): SessionError {
  try {
    make();
  } catch (error) {
    if (SessionError.is(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}
