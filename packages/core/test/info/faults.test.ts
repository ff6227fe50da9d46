import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SessionError, type SessionErrorCode } from '../../src/errors.ts';
import { StoredInfoSessionManager } from '../../src/info/stored-info-session-manager.ts';
import { FaultyStore } from './faulty-store.ts';

const CLIENT = { name: 'secret', version: '1' };
const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const fail = (code: SessionErrorCode) => () => Promise.reject(new SessionError(code, 'no'));

let store: FaultyStore;
let info: StoredInfoSessionManager;
let errors: SessionError[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
  store = new FaultyStore();
  errors = [];
  info = new StoredInfoSessionManager(store, {
    sendTimeoutMs: 10_000,
    maxOutboxBytes: 10_000,
    onError: (error) => errors.push(error),
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const run = (ms = 60_000) => vi.advanceTimersByTimeAsync(ms);

describe('a request that dies, as on Workers', () => {
  it('takes its timers along: what it has begun is passed over, and holds up nobody for ever', async () => {
    store.before = () => new Promise(() => undefined);
    void info.setLogLevel('s', 'debug');
    void info.getSubscriptions('test://r');
    await run(1);
    vi.clearAllTimers();
    store.before = () => undefined;
    await run(5_000);
    void info.addSubscription('s', 'test://r');
    const set = info.setLogLevel('s', 'error');
    const listed = info.getSubscriptions('test://r');
    await run(6_000);
    await set;
    expect(await listed).toEqual(['s']);
    expect(await info.getLogLevel('s')).toBe('error');
    expect(info.stats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
    await info.close();
    expect(errors).toEqual([]);
  });
});

describe('a backend that is away', () => {
  it('gets the writes when it is back, in call order', async () => {
    store.before = fail('unavailable');
    void info.setLogLevel('s', 'debug');
    void info.setLogLevel('s', 'error');
    void info.addSubscription('s', 'test://r');
    await run(8_000);
    store.before = () => undefined;
    await run(2_000);
    expect(await info.getLogLevel('s')).toBe('error');
    expect(await info.getSubscriptions('test://r')).toEqual(['s']);
    expect(errors).toEqual([]);
    expect(info.stats().retries).toBeGreaterThan(5);
  });

  it('is reported at the deadline, once per call, without payloads', async () => {
    store.before = fail('unavailable');
    const set = info.setClientInfo('s', CLIENT);
    const deleted = info.delete('s');
    const listed = info.getSubscriptions('test://secret');
    const got = expect(info.getClientInfo('s')).rejects.toMatchObject({ code: 'unavailable' });
    await run(10_001);
    await expect(set).rejects.toMatchObject({ code: 'unavailable' });
    await deleted;
    expect(await listed).toEqual([]);
    await got;
    expect(errors.map(({ code }) => code)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    expect(JSON.stringify(errors.map(({ message }) => message))).not.toContain('secret');
    expect(info.stats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
  });

  it('that hangs once is asked a second time before the deadline', async () => {
    let hang = true;
    store.before = () => (hang ? new Promise(() => undefined) : undefined);
    const set = info.setClientInfo('s', CLIENT);
    await run(100);
    hang = false;
    await run(6_000);
    await set;
    expect(await info.getClientInfo('s')).toEqual(CLIENT);
  });

  it('that fails with something unknown is retried like any other', async () => {
    store.before = () => Promise.reject(new TypeError('bug'));
    void info.setClientInfo('s', CLIENT);
    await run();
    expect(errors).toMatchObject([{ code: 'unavailable', cause: { message: 'bug' } }]);
  });

  it('that refuses is not asked again', async () => {
    let asked = 0;
    store.before = () => {
      asked += 1;
      return fail('refused')();
    };
    await expect(info.setClientInfo('s', CLIENT)).rejects.toMatchObject({ code: 'refused' });
    await expect(info.getClientInfo('s')).rejects.toMatchObject({ code: 'refused' });
    expect(asked).toBe(2);
  });

  it('holds up only the session that it hangs for', async () => {
    store.before = ({ id }) => (id === 'stuck' ? new Promise(() => undefined) : undefined);
    void info.setClientInfo('stuck', CLIENT);
    await info.setClientInfo('s', CLIENT);
    expect(await info.getClientInfo('s')).toEqual(CLIENT);
    await run();
    expect(errors.map(({ code }) => code)).toEqual(['timeout']);
  });

  it('does not let memory grow beyond maxOutboxBytes', async () => {
    store.before = () => new Promise(() => undefined);
    for (let i = 0; i < 100; i += 1) void info.setClientInfo(`s${i}`, { name: 'x'.repeat(200), version: '1' });
    await vi.advanceTimersByTimeAsync(0);
    expect(info.stats().pendingBytes).toBeLessThanOrEqual(10_000);
    expect(errors.length).toBeGreaterThan(40);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['outbox-full']));
    await run();
    expect(info.stats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0, failures: 100 });
  });

  it('does not keep close() from ending, nor lose what can still be stored', async () => {
    store.before = fail('unavailable');
    void info.setClientInfo('s', CLIENT);
    const closed = info.close();
    await run(5_000);
    store.before = ({ name }) => (name === 'close' ? new Promise(() => undefined) : undefined);
    await run(20_000);
    await closed;
    expect(store.count('write')).toBe(1);
    expect(errors.map(({ code }) => code)).toEqual(['timeout']);
  });
});

describe('the moment at which a write was called, as the backend sees it', () => {
  const calledAt = () => store.calls.flatMap((call) => call.calledAt ?? []);

  it('rises within a session, however different the ways to the backend are', async () => {
    const travelMs = [400, 5, 90, 1, 0, 30];
    store.before = () => delay(travelMs[store.calls.length] ?? 0);
    for (const level of ['debug', 'info', 'error'] as const) void info.setLogLevel('s', level);
    await run(20);
    void info.delete('s');
    void info.setLogLevel('s', 'alert');
    await run();
    const moments = calledAt();
    expect(moments).toHaveLength(5);
    expect(moments).toEqual([...moments].sort((x, y) => x - y));
    store.before = () => undefined;
    expect(await info.getLogLevel('s')).toBe('alert');
  });

  it('stays what it was when a write waits for its predecessor and the backend', async () => {
    const called = performance.now();
    store.before = fail('unavailable');
    for (const level of ['debug', 'info', 'error'] as const) void info.setLogLevel('s', level);
    await run(7_000);
    store.before = () => delay(3);
    await run();
    for (const moment of calledAt()) expect(moment - called).toBeLessThan(20);
  });

  it('does not let a waiting write pass a deletion that another process called after it', async () => {
    store.before = fail('unavailable');
    void info.setClientCapabilities('s', {});
    void info.setClientInfo('s', CLIENT);
    await run(3_000);
    store.before = () => undefined;
    await store.delete('s', () => 1_000);
    store.before = () => delay(10);
    await run();
    await expect(Promise.all([info.getClientInfo('s'), run()])).rejects.toMatchObject({ code: 'not-found' });
    expect(store.count('write')).toBe(2);
  });

  it('is not forgotten while the machine sleeps, when only the wall clock runs', async () => {
    store.before = fail('unavailable');
    void info.setClientInfo('s', CLIENT);
    await run(1_000);
    store.before = () => undefined;
    vi.setSystemTime(Date.now() + 3_600_000);
    await store.delete('s', () => 1_800_000);
    await run();
    expect(store.count('write')).toBe(1);
    await expect(Promise.all([info.getClientInfo('s'), run()])).rejects.toMatchObject({ code: 'not-found' });
  });
});
