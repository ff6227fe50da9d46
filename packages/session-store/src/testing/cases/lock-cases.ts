import { expect } from 'vitest';
import { type Cases, expectFailure, failure, ID, session, USER } from '../case-kit.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** `withLock`. */
export const lockCases: Cases = {
  'lock/exclusive: holders come one after the other': async ({ open }) => {
    const store = await open();
    await store.create(session());
    let inside = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        store.withLock(USER, ID, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await pause(15);
          inside -= 1;
          return at;
        }),
      ),
    );
    expect(results).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(1);
  },

  'lock/per-session: the lock of one session keeps nobody from another': async ({ open }) => {
    const store = await open();
    const keys = [
      ['u', 'a'],
      ['u', 'b'],
      ['v', 'a'],
    ] as const;
    for (const [userId, sessionId] of keys) await store.create(session({ userId, sessionId }));
    await store.withLock('u', 'a', () =>
      store.withLock('u', 'b', () => store.withLock('v', 'a', async () => undefined, { waitMs: 0 }), { waitMs: 0 }),
    );
  },

  'lock/waits-in-vain: who waits too long is told that it is locked': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.withLock(USER, ID, async () => {
      let ran = false;
      const second = store.withLock(
        USER,
        ID,
        async () => {
          ran = true;
        },
        { waitMs: 100 },
      );
      await expectFailure(second, 'locked', `Session ${ID} is locked by another writer`);
      expect(ran).toBe(false);
    });
    await store.withLock(USER, ID, async () => undefined, { waitMs: 0 });
  },

  'lock/only-locks-lock: a lock keeps nobody from reading and writing': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.withLock(USER, ID, async ({ version, signal }) => {
      expect(version).toBe((await store.get(USER, ID))?.version);
      expect(signal.aborted).toBe(false);
      await store.update(USER, ID, { serverName: 'x' }, { ifVersion: version });
      expect((await store.get(USER, ID))?.version).toBe(version + 1);
    });
  },

  'lock/freed-after-failure: the error of the work comes through, the lock is free': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const error = new Error('of the work');
    await expect(store.withLock(USER, ID, () => Promise.reject(error))).rejects.toBe(error);
    expect(await store.withLock(USER, ID, async () => 'free', { waitMs: 0 })).toBe('free');
  },

  'lock/extended: a holder keeps the lock for longer than it was taken for': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.withLock(
      USER,
      ID,
      async ({ signal }) => {
        await pause(4_000);
        expect(signal.aborted).toBe(false);
        await expectFailure(
          store.withLock(USER, ID, async () => undefined, { waitMs: 0 }),
          'locked',
        );
      },
      // It is extended after a third: a machine may stand still for two seconds.
      { ttlMs: 3_000 },
    );
  },

  'lock/lost-with-its-session: who holds the lock of a session that is deleted is told': async ({ open }) => {
    const store = await open();
    await store.create(session());
    const held = store.withLock(
      USER,
      ID,
      async ({ signal }) => {
        await store.delete(USER, ID);
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        return 'too late';
      },
      { ttlMs: 300 },
    );
    await expectFailure(held, 'lock_lost', `The lock on session ${ID} was lost`);
  },

  'lock/goes-with-its-session: a session made anew is not locked': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.withLock(USER, ID, async () => {
      await store.delete(USER, ID);
      await store.create(session());
      expect(await store.withLock(USER, ID, async () => 'mine', { waitMs: 0 })).toBe('mine');
    });
  },

  'lock/missing: there is no lock without a session': async ({ open }) => {
    const store = await open();
    await expectFailure(
      store.withLock(USER, ID, async () => expect.unreachable()),
      'not_found',
      `Session ${ID} not found`,
    );
  },

  'lock/given-up: the signal of the caller ends the waiting': async ({ open }) => {
    const store = await open();
    await store.create(session());
    await store.withLock(USER, ID, async () => {
      const controller = new AbortController();
      const waiting = store.withLock(USER, ID, async () => expect.unreachable(), { signal: controller.signal });
      setTimeout(() => controller.abort(new Error('given up')), 30);
      await expect(waiting).rejects.toThrow('given up');
    });
  },

  'lock/options: times are checked': async ({ open }) => {
    const store = await open();
    await store.create(session());
    for (const options of [{ ttlMs: 0 }, { waitMs: -1 }, { ttlMs: 1.5 }, { waitMs: Number.NaN }]) {
      const error = await failure(store.withLock(USER, ID, async () => expect.unreachable(), options));
      expect(error.code).toBe('validation');
    }
  },
};
