import { type RedisServer, spawnNode, startRedis, TcpProxy } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT, openInfo } from './info-harness.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis({ settings: { appendonly: 'yes' } });
});
afterAll(() => server.stop());

const notFound = { code: 'not-found' };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('Redis that is away', () => {
  it('info-faults/starts-later: a manager that starts before its server works as soon as that is there', async () => {
    await server.shutDown();
    const info = openInfo({ url: server.url });
    const stored = info.setClientInfo('early', CLIENT);
    const read = info.getClientInfo('early');
    await server.start();
    await stored;
    expect(await read).toEqual(CLIENT);
    expect(info.codes).toEqual([]);
  });

  it('info-faults/unreachable: calls end at their deadline, and name no host', async () => {
    const proxy = await TcpProxy.start(server);
    const url = proxy.url(server.url);
    await proxy.close();
    const info = openInfo({ url, sendTimeoutMs: 600 });
    // On a busy machine the deadline may pass before the refusal of the port is heard.
    const away = expect.stringMatching(/^(unavailable|timeout)$/);
    const started = performance.now();
    const [get, set, list] = await Promise.allSettled([
      info.getClientInfo('s'),
      info.setClientInfo('s', CLIENT),
      info.getSubscriptions('test://r'),
      info.delete('s'),
    ]);
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(get).toMatchObject({ status: 'rejected', reason: { code: away } });
    expect(set).toMatchObject({ status: 'rejected', reason: { code: away } });
    expect(list).toMatchObject({ status: 'fulfilled', value: [] });
    expect(info.codes).toEqual([away, away, away]);
    expect(info.errors.map(({ message }) => message).join()).not.toMatch(/127\.0\.0\.1|redis:\/\//);
    expect(await info.health()).toMatchObject({
      ok: false,
      error: { code: 'unavailable', message: expect.stringContaining('"url"'), cause: { code: 'ECONNREFUSED' } },
    });
  });

  it('info-faults/frozen: a server that stands still holds nothing up, and what it accepted late does no harm', async () => {
    const info = openInfo({ url: server.url, sendTimeoutMs: 1_000 });
    await info.setClientInfo('frozen', CLIENT);
    server.freeze();
    const started = performance.now();
    const calls = await Promise.allSettled([info.getClientInfo('frozen'), info.setLogLevel('frozen', 'debug')]);
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(calls).toMatchObject([{ reason: { code: 'timeout' } }, { reason: { code: 'timeout' } }]);
    server.thaw();
    await expect.poll(() => info.getClientInfo('frozen').catch(String), { timeout: 10_000 }).toEqual(CLIENT);
    await info.setLogLevel('frozen', 'error');
    expect(await info.getLogLevel('frozen')).toBe('error');
    expect(info.codes).toEqual(['timeout']);
  });

  it('info-faults/half-open: a connection that died in silence is replaced within the deadline of a call', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ url: proxy.url(server.url), sendTimeoutMs: 6_000 });
    await info.setClientInfo('s', CLIENT);
    const [before] = proxy.connections;
    proxy.blackhole('both');
    const stored = info.setLogLevel('s', 'alert');
    // The end of the old connection has been noticed: from here on it takes a new one.
    await expect
      .poll(() => proxy.connections.some((connection) => connection !== before), { timeout: 5_500 })
      .toBe(true);
    proxy.blackhole(false);
    await stored;
    expect(await info.getLogLevel('s')).toBe('alert');
    expect(info.codes).toEqual([]);
    await info.close();
  });

  it('info-faults/swallowed-answer: a write whose answer got lost is stored once more, to the same effect', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ url: proxy.url(server.url) });
    await info.setClientInfo('s', CLIENT);
    await info.addSubscription('other', 'test://other');
    const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('test://swallowed'));
    await info.addSubscription('swallowed', 'test://swallowed');
    await swallowed;
    expect(await info.getSubscriptions('test://swallowed')).toEqual(['swallowed']);
    expect(info.codes).toEqual([]);
    await info.close();
  });

  it('info-faults/slow: an answer that takes a second is waited for', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ url: proxy.url(server.url) });
    await info.setClientInfo('slow', CLIENT);
    proxy.delay(500);
    expect(await info.getClientInfo('slow')).toEqual(CLIENT);
    await info.setLogLevel('slow', 'debug');
    expect(await info.getLogLevel('slow')).toBe('debug');
    expect(info.codes).toEqual([]);
    await info.close();
  });

  it('info-faults/restart: writes that were called while the server restarts are stored', async () => {
    const info = openInfo({ url: server.url });
    await info.setClientInfo('restart', CLIENT);
    const restarted = server.restart({ keepData: true });
    const stored = Promise.all(
      (['debug', 'info', 'error'] as const).map((level) => info.setLogLevel('restart', level)),
    );
    await restarted;
    await stored;
    expect(await info.getLogLevel('restart')).toBe('error');
    expect(await info.getClientInfo('restart')).toEqual(CLIENT);
    expect(info.codes).toEqual([]);
  });

  it('info-faults/killed: connections that the server ends, idle or busy, harm nobody', async () => {
    const info = openInfo({ url: server.url });
    for (let round = 0; round < 10; round += 1) {
      const stored = Promise.all(
        Array.from({ length: 20 }, (_, i) => info.setClientInfo(`t${i}`, { ...CLIENT, version: `${round}` })),
      );
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await stored;
      expect(await info.getClientInfo('t19')).toMatchObject({ version: `${round}` });
    }
    expect(info.codes).toEqual([]);
  });

  it('info-faults/scripts-flushed: scripts that the server forgot are sent again', async () => {
    const info = openInfo({ url: server.url });
    for (let round = 0; round < 3; round += 1) {
      await server.command('SCRIPT', 'FLUSH');
      await info.setClientInfo('flushed', { ...CLIENT, version: `${round}` });
      await server.command('SCRIPT', 'FLUSH');
      expect(await info.getClientInfo('flushed')).toMatchObject({ version: `${round}` });
      await server.command('SCRIPT', 'FLUSH');
      await info.delete('flushed');
    }
    expect(info.codes).toEqual([]);
  });

  it('info-faults/flushed: whatever else was in the database may go at any time', async () => {
    const info = openInfo({ url: server.url });
    await info.setClientInfo('s', CLIENT);
    await info.addSubscription('s', 'test://r');
    await server.command('FLUSHALL');
    await expect(info.getClientInfo('s')).rejects.toMatchObject(notFound);
    expect(await info.getSubscriptions('test://r')).toEqual([]);
    await info.removeSubscription('s', 'test://r');
    await info.setClientInfo('s', CLIENT);
    expect(await info.getClientInfo('s')).toEqual(CLIENT);
    expect(info.codes).toEqual([]);
  });

  it('info-faults/close: closing ends in time while nobody answers, and says what was lost', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ url: proxy.url(server.url), sendTimeoutMs: 2_000 });
    await info.setClientInfo('s', CLIENT);
    proxy.blackhole('both');
    void info.setLogLevel('s', 'debug');
    const started = performance.now();
    await info.close();
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(info.codes).toContain('timeout');
    proxy.blackhole(false);
    await expect.poll(() => proxy.connections).toEqual([]);
  });
});

describe('a write that arrives late', () => {
  it('info-faults/late-write: one that an outage held up does not pass a deletion that was called after it', async () => {
    await using proxy = await TcpProxy.start(server);
    const away = openInfo({ url: proxy.url(server.url) });
    const there = openInfo({ url: server.url });
    await away.setClientInfo('late', CLIENT);
    await proxy.refuse(true);
    proxy.cutAll();
    const late = [
      away.setClientCapabilities('late', {}),
      away.setClientInfo('late', CLIENT),
      away.addSubscription('late', 'test://late'),
    ];
    await pause(300);
    await there.delete('late');
    await proxy.refuse(false);
    await Promise.all(late);
    for (const manager of [away, there]) {
      await expect(manager.getClientInfo('late')).rejects.toMatchObject(notFound);
      await expect(manager.getClientCapabilities('late')).rejects.toMatchObject(notFound);
      expect(await manager.getSubscriptions('test://late')).toEqual([]);
    }
    expect(away.codes).toEqual([]);
    await away.close();
  });

  // The driver sends a command again that it got no answer to, as it was: with the age that it had then.
  it.each([50, 1_500])('info-faults/sent-again: nor does one that the driver sends again %i ms later', async (ms) => {
    await using proxy = await TcpProxy.start(server);
    const away = openInfo({ url: proxy.url(server.url) });
    const there = openInfo({ url: server.url });
    const id = `again-${ms}`;
    await away.setClientInfo(id, CLIENT);
    // It knows the server's clock as well as its fastest answer was fast, and less well with time.
    for (let write = 0; write < 20; write += 1) await away.setLogLevel(id, 'info');
    const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('test://again'));
    const late = away.addSubscription(id, 'test://again');
    await proxy.refuse(true);
    await swallowed;
    // Of calls that are closer than it knows the server's clock, the one that is sent again may count as the later one.
    await pause(200);
    await there.delete(id);
    await pause(ms);
    await proxy.refuse(false);
    await late;
    expect(await there.getSubscriptions('test://again')).toEqual([]);
    await expect(there.getClientInfo(id)).rejects.toMatchObject(notFound);
    expect(away.codes).toEqual([]);
    await away.close();
  });

  it('info-faults/frozen-write: nor one that a frozen server takes up when everybody has given up', async () => {
    const info = openInfo({ url: server.url, sendTimeoutMs: 1_500 });
    const there = openInfo({ url: server.url });
    await info.setClientInfo('thawed', CLIENT);
    await there.setClientInfo('other', CLIENT);
    server.freeze();
    await expect(info.setLogLevel('thawed', 'debug')).rejects.toMatchObject({ code: 'timeout' });
    const deleted = there.delete('thawed');
    await pause(200);
    server.thaw();
    await deleted;
    await pause(300);
    await expect(there.getLogLevel('thawed')).rejects.toMatchObject(notFound);
    await expect(there.getClientInfo('thawed')).rejects.toMatchObject(notFound);
  });
});

describe('memory', () => {
  it('info-faults/memory: without any left writes are refused, reading and deleting go on', async () => {
    await using full = await startRedis({ settings: { 'maxmemory-policy': 'noeviction' } });
    const info = openInfo({ url: full.url, sendTimeoutMs: 2_000, infoTtlMs: 10_000 });
    for (let i = 0; i < 50; i += 1) await info.setClientInfo(`s${i}`, { ...CLIENT, name: 'x'.repeat(1_000) });
    await info.addSubscription('s1', 'test://r');
    await full.command('CONFIG', 'SET', 'maxmemory', 1);
    await expect(info.setClientInfo('new', CLIENT)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('maxmemory'),
    });
    expect(await info.getSubscriptions('test://r')).toEqual(['s1']);
    // It is due to be renewed by now, which cannot be noted.
    await pause(400);
    expect(await info.getClientInfo('s1')).toMatchObject({ version: '1.0.0' });
    expect(info.codes).toEqual(['unavailable', 'unavailable']);
    await info.delete('s1');
    await info.delete('unknown');
    await expect(info.getClientInfo('s1')).rejects.toMatchObject(notFound);
    expect(await info.getSubscriptions('test://r')).toEqual([]);
    expect(info.codes).toEqual(['unavailable', 'unavailable']);
    await full.command('CONFIG', 'SET', 'maxmemory', 0);
    await info.setClientInfo('new', CLIENT);
    expect(await info.getClientInfo('new')).toEqual(CLIENT);
    await info.close();
  });
});

describe('a process that does not close its manager', () => {
  const run = async (url: string): Promise<{ output: string; code: number | null; ms: number }> => {
    const started = performance.now();
    await using program = await spawnNode(new URL('exit-program.ts', import.meta.url), [url]);
    const { code } = await program.exited;
    return { output: program.output.trim(), code, ms: performance.now() - started };
  };

  it('info-faults/exit: ends by itself, but hears first what became of its call', async () => {
    expect(await run(server.url)).toMatchObject({ output: 'stored', code: 0 });
    const proxy = await TcpProxy.start(server);
    await proxy.close();
    const away = await run(proxy.url(server.url));
    expect(away).toMatchObject({ output: 'unavailable', code: 0 });
    expect(away.ms).toBeLessThan(8_000);
  });
});
