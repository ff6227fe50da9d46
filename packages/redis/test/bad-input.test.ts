import { inspect } from 'node:util';
import { SessionError, type SessionErrorCode } from '@tmcp/session-manager';
import { Redis } from 'ioredis';
import { freePort, type RedisServer, startRedis, waitFor } from 'test-support';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  RedisInfoSessionManager,
  RedisStreamSessionManager,
  type RedisStreamSessionManagerOptions,
  redisSessions,
} from '../src/index.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis({ settings: { requirepass: 'top-secret-password', appendonly: 'yes' } });
});
afterAll(() => server.stop());

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

type Options = Pick<RedisStreamSessionManagerOptions, 'url' | 'client'>;

/** Managers that stand alone, and what their `onError` hears. */
function managers(options: Options): {
  readonly streams: RedisStreamSessionManager;
  readonly info: RedisInfoSessionManager;
  readonly errors: SessionError[];
} {
  const errors: SessionError[] = [];
  const all = { sendTimeoutMs: 1_000, onError: (error: SessionError) => void errors.push(error), ...options };
  const streams = new RedisStreamSessionManager(all);
  const info = new RedisInfoSessionManager(all);
  open.push(streams, info);
  return { streams, info, errors };
}

/** The address with another login. */
function as(user: string, password: string, path = ''): string {
  return Object.assign(new URL(server.url), { username: user, password, pathname: path }).href;
}

function controller(): ReadableStreamDefaultController {
  let made: ReadableStreamDefaultController | undefined;
  new ReadableStream({
    start(given) {
      made = given;
    },
  });
  if (!made) throw new Error('a stream starts at once');
  return made;
}

/** Every call is refused with this code and remedy, in time, and shows nothing of where the server is. */
async function expectRefusal(options: Options, code: SessionErrorCode, remedy: RegExp): Promise<void> {
  const { streams, info, errors } = managers(options);
  const started = performance.now();
  const calls = [
    streams.create('s', controller()),
    streams.has('other'),
    streams.publish(['s'], 'data: x\n\n'),
    info.getClientInfo('s'),
    info.setLogLevel('s', 'debug'),
    info.addSubscription('s', 'test://top-secret-resource'),
  ];
  // These report, and never reject.
  const silent = [streams.send(['s'], 'data: x\n\n'), streams.delete('other'), info.delete('other')];
  const health = [streams.health(), info.health()];
  const failures = (await Promise.all(calls.map((call) => call.then(String, (error: unknown) => error)))) as unknown[];
  for (const failure of failures) expect(failure).toSatisfy(SessionError.is);
  const refusals = failures as SessionError[];
  const codes = refusals.map((refusal) => refusal.code);
  // The deadline may pass before a server that is away is found to be away once more.
  const late = code === 'unavailable' ? 'timeout' : code;
  expect(codes).toContain(code);
  expect(codes.filter((each) => each !== code && each !== late)).toEqual([]);
  await Promise.all(silent);
  expect(await info.getSubscriptions('test://r')).toEqual([]);
  expect(performance.now() - started).toBeLessThan(8_000);
  for (const answer of await Promise.all(health)) {
    expect(answer).toMatchObject({ ok: false, error: { name: 'SessionError' } });
  }
  expect(errors.filter((error) => remedy.test(error.message)).length).toBeGreaterThan(3);
  for (const error of refusals.filter((refusal) => refusal.code === code)) expect(error.message).toMatch(remedy);
  for (const error of [...refusals, ...errors]) {
    expect(error.message).not.toMatch(/top-secret|127\.0\.0\.1|localhost|rediss?:\/\//);
    // The driver's own text stands in `cause`, but what it was given to keep or to log in with nowhere.
    expect(inspect(error, { depth: 10 })).not.toContain('top-secret');
  }
}

describe('bad input', () => {
  it('bad-input/password: a wrong password is refused, and says what to check', async () => {
    await expectRefusal({ url: as('', 'top-secret-guess') }, 'refused', /check user and password/);
  });

  it('bad-input/no-password: so is none where one is needed', async () => {
    await expectRefusal({ url: as('', '') }, 'refused', /check user and password/);
  });

  it('bad-input/user: and a user that does not exist', async () => {
    await expectRefusal({ url: as('nobody', 'top-secret-guess') }, 'refused', /check user and password/);
  });

  it('bad-input/database: a number that the server has not is refused, where the driver would take number 0', async () => {
    await expectRefusal({ url: as('', 'top-secret-password', '/99') }, 'refused', /check the end of "url"/);
    expect(await server.command('DBSIZE')).toBe(0);
  });

  it('bad-input/replica: one that only reads says so, and works as soon as it is the master', async () => {
    const settings = {
      appendonly: 'yes',
      replicaof: `${server.host} ${server.port}`,
      masterauth: 'top-secret-password',
    };
    await using replica = await startRedis({ settings });
    await waitFor(async () => (await replica.info('master_link_status')) === 'up');
    const { streams, info } = managers({ url: replica.url });
    const readOnly = { code: 'unavailable', message: expect.stringContaining('it is a replica') };
    await expect(streams.has('s')).rejects.toMatchObject(readOnly);
    await expect(streams.publish(['s'], 'data: x\n\n')).rejects.toMatchObject({ code: 'timeout', cause: readOnly });
    await expect(info.setLogLevel('s', 'debug')).rejects.toMatchObject(readOnly);
    expect(await streams.health()).toMatchObject({ ok: false, error: readOnly });
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await info.setLogLevel('s', 'debug');
    await expect.poll(() => streams.has('s').catch(() => 'refused'), { timeout: 10_000 }).toBe(false);
  });

  it.each<[string, string]>([
    ['scripts', '~* &* +@all -evalsha -eval'],
    ['what scripts do', '~* &* +@all -hget -hmget -hset -zscore'],
    ['its keys', '~other:* &* +@all'],
  ])('bad-input/rights: a user that may not use %s is told where to read on', async (_, rights) => {
    await server.command('ACL', 'SETUSER', 'limited', 'reset', 'on', '>top-secret-user', ...rights.split(' '));
    await expectRefusal({ url: as('limited', 'top-secret-user') }, 'refused', /may not use .* README lists/);
  });

  it('bad-input/rights-granted: what was refused works as soon as it is allowed', async () => {
    await server.command('ACL', 'SETUSER', 'later', 'reset', 'on', '>top-secret-user', '~*', '&*', '+@all', '-evalsha');
    const { streams, info } = managers({ url: as('later', 'top-secret-user') });
    await expect(info.setLogLevel('s', 'debug')).rejects.toMatchObject({ code: 'refused' });
    await expect(streams.has('s')).rejects.toMatchObject({ code: 'refused' });
    await server.command('ACL', 'SETUSER', 'later', '+evalsha');
    await info.setLogLevel('s', 'debug');
    expect(await info.getLogLevel('s')).toBe('debug');
    await expect.poll(() => streams.has('s').catch(() => 'refused'), { timeout: 10_000 }).toBe(false);
    await info.delete('s');
  });

  it('bad-input/unreachable: a server that is not there is waited for until the deadline', async () => {
    const url = `redis://:top-secret-password@127.0.0.1:${await freePort()}`;
    await expectRefusal({ url }, 'unavailable', /check "url" or "client", and that the server runs/);
  });

  it('bad-input/closed-client: a client that the application has ended is no crash', async () => {
    const client = new Redis(server.url);
    await client.quit();
    await expectRefusal({ client }, 'unavailable', /check "url" or "client"/);
  });

  it.each<[string, object, RegExp]>([
    ['nothing to connect to', {}, /"url" or "client"/],
    ['two', { url: 'redis://redis.example', client: new Redis({ lazyConnect: true }) }, /"url" and "client"/],
    [
      'a prefix with braces',
      { url: 'redis://redis.example', keyPrefix: '{a}' },
      /"keyPrefix" must be .*without braces/,
    ],
    ['a misspelt option', { url: 'redis://redis.example', heartBeatMs: 1 }, /"heartBeatMs"/],
    ['a duration', { url: 'redis://redis.example', heartbeatMs: '3s' }, /"heartbeatMs"/],
  ])('bad-input/options: %s', (_, options, message) => {
    for (const make of [
      () => new RedisStreamSessionManager(options as RedisStreamSessionManagerOptions),
      () => redisSessions(options as RedisStreamSessionManagerOptions),
    ]) {
      expect(make).toThrowError(
        expect.objectContaining({ code: 'invalid-option', message: expect.stringMatching(message) }),
      );
    }
  });

  it('bad-input/ids: an id that is too long, or holds control characters, is refused and harms nobody', async () => {
    const { streams, info } = managers({ url: server.url });
    for (const id of ['', 'x'.repeat(1_025), 'a\nb', '\ud800', 'é'.repeat(513)]) {
      for (const call of [
        streams.create(id, controller()),
        streams.has(id),
        streams.publish([id], 'data: x\n\n'),
        info.setLogLevel(id, 'debug'),
        info.getLogLevel(id),
        info.addSubscription(id, 'test://r'),
      ]) {
        await expect(call).rejects.toMatchObject({ code: 'invalid-id' });
      }
    }
    await expect(streams.has('x'.repeat(1_024))).resolves.toBe(false);
  });

  it('bad-input/namespace: names of others cannot leave their place among the keys', async () => {
    const names = ['a', 'a}:info-due', '{a}', '}{', 'a:b', '*', 'x'.repeat(256), '😀'];
    const sessions = redisSessions({ url: server.url, onError: () => undefined });
    open.push(sessions);
    for (const name of names) {
      const { info } = sessions.namespace(name).sessionManager;
      await info.addSubscription('s', 'test://r');
      await info.setClientInfo('s', { name, version: '1' });
    }
    for (const name of names) {
      const { info } = sessions.namespace(name).sessionManager;
      expect(await info.getClientInfo('s')).toMatchObject({ name });
      await info.delete('s');
      expect(await info.getSubscriptions('test://r')).toEqual([]);
    }
    expect(() => sessions.namespace('')).toThrowError(expect.objectContaining({ code: 'invalid-option' }));
    expect(() => sessions.namespace('x'.repeat(257))).toThrowError(expect.objectContaining({ code: 'invalid-option' }));
  });

  it('bad-input/closed: a closed manager says so, however often it is closed', async () => {
    const { streams, info, errors } = managers({ url: server.url });
    await streams.has('s');
    await Promise.all([streams.close(), streams.close(), info.close(), info.close()]);
    await streams.close();
    await expect(streams.create('s', controller())).rejects.toMatchObject({ code: 'closed' });
    await expect(streams.has('s')).rejects.toMatchObject({ code: 'closed' });
    await expect(streams.publish(['s'], 'data: x\n\n')).rejects.toMatchObject({ code: 'closed' });
    await expect(info.getLogLevel('s')).rejects.toMatchObject({ code: 'closed' });
    errors.length = 0;
    await streams.send(['s'], 'data: x\n\n');
    await streams.delete('s');
    await info.delete('s');
    expect(errors.map(({ code }) => code)).toEqual(['closed', 'closed', 'closed']);
  });
});
