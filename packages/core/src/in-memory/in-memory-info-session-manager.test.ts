import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SessionError } from '../errors.ts';
import { infoStoreSuite } from '../testing/info-store-suite.ts';
import { infoSessionManagerSuite } from '../testing/info-suite.ts';
import { InMemoryInfoSessionManager } from './in-memory-info-session-manager.ts';
import { InMemoryInfoStore } from './in-memory-info-store.ts';

infoSessionManagerSuite({
  name: 'in memory',
  processes: 'one',
  setUp: async () => {
    const namespaces = new Map<string | undefined, InMemoryInfoSessionManager>();
    return {
      open: ({ namespace, ...options }) => {
        const manager = namespaces.get(namespace) ?? new InMemoryInfoSessionManager(options);
        namespaces.set(namespace, manager);
        return manager;
      },
      cleanUp: async () => undefined,
    };
  },
});

infoStoreSuite({
  name: 'in memory',
  setUp: async () => ({
    store: new InMemoryInfoStore({ infoTtlMs: 60_000, maxInfoBytes: 1_000_000, onError: () => undefined }),
    cleanUp: async () => undefined,
  }),
});

const CLIENT = { name: 'client', version: '1' };

describe('InMemoryInfoSessionManager', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('needs no options, and refuses wrong ones', async () => {
    await using manager = new InMemoryInfoSessionManager();
    await manager.setClientInfo('s', CLIENT);
    expect(await manager.getClientInfo('s')).toEqual(CLIENT);
    expect(() => new InMemoryInfoSessionManager({ infoTtlMs: 0 })).toThrowError('option "infoTtlMs"');
    expect(() => new InMemoryInfoSessionManager({ namespace: 'x' } as object)).toThrowError('unknown option');
  });

  it('has no timer while nothing is stored, and one that clears what expired', async () => {
    await using manager = new InMemoryInfoSessionManager({ infoTtlMs: 1_000 });
    await expect(manager.getClientInfo('s')).rejects.toThrow();
    expect(vi.getTimerCount()).toBe(0);
    for (let i = 0; i < 100; i += 1) await manager.setClientInfo(`s${i}`, CLIENT);
    expect(vi.getTimerCount()).toBe(1);
    expect(manager.stats().sessions).toBe(100);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(manager.stats()).toMatchObject({ sessions: 0, storedBytes: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('waits longer than timers can count', async () => {
    await using manager = new InMemoryInfoSessionManager({ infoTtlMs: 100 * 86_400_000 });
    await manager.setClientInfo('s', CLIENT);
    await vi.advanceTimersByTimeAsync(99 * 86_400_000);
    expect(manager.stats().sessions).toBe(1);
    await vi.advanceTimersByTimeAsync(2 * 86_400_000);
    expect(manager.stats().sessions).toBe(0);
  });

  it('clears up without timers as well', async () => {
    await using manager = new InMemoryInfoSessionManager({ infoTtlMs: 1_000 });
    await manager.setClientInfo('old', CLIENT);
    vi.clearAllTimers();
    vi.advanceTimersByTime(2_000);
    await manager.setClientInfo('new', CLIENT);
    expect(manager.stats().sessions).toBe(1);
  });

  it('forgets the session that was not used for the longest time when it is full, and says so', async () => {
    const errors: SessionError[] = [];
    await using manager = new InMemoryInfoSessionManager({ maxInfoBytes: 10_000, onError: (e) => errors.push(e) });
    await manager.setClientInfo('used', CLIENT);
    await manager.addSubscription('unused', 'test://r');
    await manager.getClientInfo('used');
    for (let i = 0; errors.length === 0 && i < 1_000; i += 1) await manager.setClientInfo(`s${i}`, CLIENT);
    expect(errors.map(({ code }) => code)).toEqual(['configuration']);
    expect(await manager.getSubscriptions('test://r')).toEqual([]);
    expect(await manager.getClientInfo('used')).toEqual(CLIENT);
    expect(manager.stats().storedBytes).toBeLessThanOrEqual(10_000);
  });

  it('counts exactly: what is removed gives its bytes back', async () => {
    await using manager = new InMemoryInfoSessionManager();
    await manager.setClientInfo('s', CLIENT);
    await manager.setClientInfo('s', { ...CLIENT, version: '22' });
    await manager.addSubscription('s', 'test://1');
    await manager.addSubscription('s', 'test://2');
    await manager.removeSubscription('s', 'test://1');
    await manager.delete('s');
    expect(manager.stats()).toMatchObject({ sessions: 0, storedBytes: 0, pendingWrites: 0, pendingBytes: 0 });
  });
});
