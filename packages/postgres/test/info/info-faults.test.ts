import { type PostgresServer, spawnNode, startPostgres, TcpProxy } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT, openInfo } from './info-harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

describe('PostgreSQL that is away', () => {
  it('info-faults/starts-later: a manager that starts before its database works as soon as that is there', async () => {
    await server.shutDown();
    const info = openInfo({ connectionString: server.url });
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
    const info = openInfo({ connectionString: url, sendTimeoutMs: 400 });
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
    expect(info.errors.map(({ message }) => message).join()).not.toMatch(/127\.0\.0\.1|postgres:\/\//);
    expect(await info.health()).toMatchObject({ ok: false, error: { code: away } });
  });

  it('info-faults/wrong-password: is refused at once, without the role in the message', async () => {
    const url = Object.assign(new URL(await server.createRole()), { password: 'wrong' }).href;
    const info = openInfo({ connectionString: url });
    const started = performance.now();
    await expect(info.getClientInfo('s')).rejects.toMatchObject({ code: 'refused' });
    await expect(info.setClientInfo('s', CLIENT)).rejects.toMatchObject({ code: 'refused' });
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(info.errors[0]?.message).not.toContain(new URL(url).username);
  });

  it('info-faults/silent: a server that swallows everything holds nothing up, and is used again when it answers', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ connectionString: proxy.url(server.url), sendTimeoutMs: 1_000 });
    await info.setClientInfo('s', CLIENT);
    proxy.blackhole('both');
    const started = performance.now();
    await expect(info.getClientInfo('s')).rejects.toMatchObject({ code: 'timeout' });
    expect(performance.now() - started).toBeLessThan(8_000);
    proxy.blackhole(false);
    await expect.poll(() => info.getClientInfo('s'), { timeout: 10_000 }).toEqual(CLIENT);
    await info.close();
  });

  it('info-faults/half-open: connections that died in silence are replaced within the deadline of a call', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ connectionString: proxy.url(server.url), sendTimeoutMs: 4_000 });
    await info.setClientInfo('s', CLIENT);
    proxy.blackhole('both');
    const stored = info.setLogLevel('s', 'alert');
    setTimeout(() => proxy.blackhole(false), 1_000);
    await stored;
    expect(await info.getLogLevel('s')).toBe('alert');
    expect(info.codes).toEqual([]);
    await info.close();
  });

  it('info-faults/swallowed-answer: a write whose answer got lost is stored once more, to the same effect', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ connectionString: proxy.url(server.url) });
    await info.setClientInfo('s', CLIENT);
    const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('insert into'));
    await info.addSubscription('swallowed', 'test://swallowed');
    await swallowed;
    expect(await info.getSubscriptions('test://swallowed')).toEqual(['swallowed']);
    expect(info.stats().retries).toBeGreaterThan(0);
    expect(info.codes).toEqual([]);
    await info.close();
  });

  it('info-faults/slow: an answer that takes a second is waited for', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ connectionString: proxy.url(server.url) });
    await info.setClientInfo('slow', CLIENT);
    proxy.delay(500);
    expect(await info.getClientInfo('slow')).toEqual(CLIENT);
    await info.close();
  });

  it('info-faults/restart: writes that were called while the server restarts are stored', async () => {
    const info = openInfo({ connectionString: server.url });
    await info.setClientInfo('restart', CLIENT);
    const restarted = server.restart();
    const stored = Promise.all(
      (['debug', 'info', 'error'] as const).map((level) => info.setLogLevel('restart', level)),
    );
    await restarted;
    await stored;
    expect(await info.getLogLevel('restart')).toBe('error');
    expect(info.codes).toEqual([]);
  });

  it('info-faults/terminated: connections that the server ends, idle or busy, harm nobody', async () => {
    const info = openInfo({ connectionString: server.url });
    for (let round = 0; round < 10; round += 1) {
      const stored = Promise.all(
        Array.from({ length: 20 }, (_, i) => info.setClientInfo(`t${i}`, { ...CLIENT, version: `${round}` })),
      );
      await server.terminate();
      await stored;
      expect(await info.getClientInfo('t19')).toMatchObject({ version: `${round}` });
    }
    expect(info.codes).toEqual([]);
  });

  it('info-faults/late-write: a write that an outage held up does not pass a deletion that was called after it', async () => {
    await using proxy = await TcpProxy.start(server);
    const away = openInfo({ connectionString: proxy.url(server.url) });
    const there = openInfo({ connectionString: server.url });
    await away.setClientInfo('late', CLIENT);
    await proxy.refuse(true);
    proxy.cutAll();
    const late = [
      away.setClientCapabilities('late', {}),
      away.setClientInfo('late', CLIENT),
      away.addSubscription('late', 'test://late'),
    ];
    await new Promise((resolve) => setTimeout(resolve, 300));
    await there.delete('late');
    await proxy.refuse(false);
    await Promise.all(late);
    for (const manager of [away, there]) {
      await expect(manager.getClientInfo('late')).rejects.toMatchObject({ code: 'not-found' });
      await expect(manager.getClientCapabilities('late')).rejects.toMatchObject({ code: 'not-found' });
      expect(await manager.getSubscriptions('test://late')).toEqual([]);
    }
    expect(away.codes).toEqual([]);
    await away.close();
  });

  it('info-faults/frozen: a write that a frozen server carries out when it wakes up does not pass a later deletion', async () => {
    const away = openInfo({ connectionString: server.url, sendTimeoutMs: 1_000 });
    const there = openInfo({ connectionString: server.url });
    const ids = Array.from({ length: 6 }, (_, i) => `frozen-${i}`);
    for (const id of ids) {
      await away.setClientInfo(id, CLIENT);
      await there.setLogLevel(id, 'info');
    }
    server.freeze();
    const late = ids.map((id) => away.addSubscription(id, 'test://frozen'));
    await Promise.allSettled(late);
    const deleted = ids.map((id) => there.delete(id));
    await new Promise((resolve) => setTimeout(resolve, 300));
    server.thaw();
    await Promise.all(deleted);
    await Promise.all([away.close(), there.close()]);
    const later = openInfo({ connectionString: server.url });
    expect(await later.getSubscriptions('test://frozen')).toEqual([]);
    for (const id of ids) await expect(later.getClientInfo(id)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('info-faults/close: closing ends in time while nobody answers, and says what was lost', async () => {
    await using proxy = await TcpProxy.start(server);
    const info = openInfo({ connectionString: proxy.url(server.url), sendTimeoutMs: 2_000 });
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
