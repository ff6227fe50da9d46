import { describe, expect, it } from 'vitest';
import { FaultyStore, session } from './faults-harness.ts';

describe('a backend in trouble while a lock is held', () => {
  it('faults/lock-out-of-reach: a holder that cannot extend its lock is told when it ends', async () => {
    // Far behind the end of the lock, and of this test: nothing but the lock ends the waiting.
    const faulty = new FaultyStore({ operationTimeoutMs: 600_000 });
    const { store } = faulty;
    await store.create(session);
    const hanging: ((error: Error) => void)[] = [];
    const held = store.withLock(
      'u',
      's',
      async ({ signal }) => {
        faulty.fault = () => new Promise((_, reject) => hanging.push(reject));
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        expect(signal.reason).toMatchObject({ code: 'lock_lost' });
        faulty.fault = undefined;
      },
      { ttlMs: 600 },
    );
    await expect(held).rejects.toMatchObject({ code: 'lock_lost', message: 'The lock on session s was lost' });
    expect(hanging.length).toBeGreaterThan(0);
    for (const reject of hanging) reject(new Error('reset'));
    await store.disconnect();
  });

  it('faults/lock-comes-back: one failed extension is survived, and reported', async () => {
    const faulty = new FaultyStore();
    const { store } = faulty;
    await store.create(session);
    let [failures, extensions] = [0, 0];
    await store.withLock(
      'u',
      's',
      async ({ signal }) => {
        faulty.fault = async (method, call) => {
          if (method !== 'acquireLease') return call();
          if (failures === 0) {
            failures += 1;
            throw new Error('reset');
          }
          const result = await call();
          extensions += 1;
          return result;
        };
        await expect.poll(() => extensions).toBeGreaterThan(1);
        expect(signal.aborted).toBe(false);
      },
      // Asked for after a third of it: a machine may stand still for two seconds.
      { ttlMs: 3_000 },
    );
    expect(failures).toBe(1);
    expect(faulty.reports).toHaveLength(1);
    await store.disconnect();
  });

  it('faults/release: work that is done stays done when the lock cannot be given back', async () => {
    const faulty = new FaultyStore();
    const { store } = faulty;
    await store.create(session);
    faulty.fault = (method, call) => (method === 'releaseLease' ? Promise.reject(new Error('reset')) : call());
    expect(await store.withLock('u', 's', async () => 'done')).toBe('done');
    expect(faulty.reports).toMatchObject([{ code: 'unavailable', severity: 'error' }]);
    await store.disconnect();
  });
});
