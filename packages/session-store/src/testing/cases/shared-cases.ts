import { expect } from 'vitest';
import type { OAuthTokens } from '../../session.ts';
import { type Cases, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';
import { expectNoneLost } from './concurrency-cases.ts';

/** Two stores on the same data, as two processes have them. */
export const sharedCases: Cases = {
  'shared/visible: what one wrote the other reads at once': async ({ open }) => {
    const [a, b] = [await open(), await open()];
    await a.create(fullSession());
    expect(await b.get(USER, ID, { includeCredentials: true })).toEqual(
      await a.get(USER, ID, { includeCredentials: true }),
    );
    await b.update(USER, ID, { serverName: 'by b' });
    expect((await a.get(USER, ID))?.serverName).toBe('by b');
    await a.delete(USER, ID);
    expect(await b.get(USER, ID)).toBeNull();
    expect(await b.listAllIds()).toEqual([]);
  },

  'shared/disconnect: one that disconnects leaves the other alone': async ({ open }) => {
    const [a, b] = [await open(), await open()];
    await a.create(session());
    await b.get(USER, ID);
    await a.disconnect();
    expect((await b.get(USER, ID))?.sessionId).toBe(ID);
    await b.update(USER, ID, { serverName: 'x' });
  },

  'shared/disconnect-during-refresh: a pair that was asked for is stored before the store is closed': async ({
    open,
  }) => {
    const [a, b] = [await open(), await open()];
    await a.create(fullSession());
    const fresh: OAuthTokens = { access_token: 'next', token_type: 'Bearer', refresh_token: 'refresh-next' };
    let closing: Promise<void> | undefined;
    const refreshing = a.refreshTokens(USER, ID, async (_, { signal }) => {
      closing = a.disconnect();
      await expectFailure(a.get(USER, ID), 'closed');
      await expectFailure(
        a.refreshTokens(USER, ID, async () => expect.unreachable()),
        'closed',
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(signal.aborted).toBe(false);
      return fresh;
    });
    expect(await refreshing).toEqual({ tokens: fresh, source: 'refreshed', stored: true });
    await closing;
    // Its lock is free, and what it presented is not presented again.
    await b.withLock(USER, ID, async () => undefined, { waitMs: 0 });
    expect((await b.getCredentials(USER, ID))?.tokens).toEqual(fresh);
    await expectFailure(a.get(USER, ID), 'closed');
  },

  'shared/creators: of two creators one wins': async ({ open }) => {
    const [a, b] = [await open(), await open()];
    const created = await Promise.allSettled([a.create(session()), b.create(session())]);
    expect(created.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  },

  'shared/updates: changes of different fields from both sides are all there': async ({ open }) => {
    const stores = [await open(), await open()];
    const [a] = stores;
    await a?.create(session());
    const names = ['serverName', 'serverId', 'authUrl', 'codeVerifier', 'clientId'] as const;
    await Promise.all(names.map((name, at) => stores[at % 2]?.update(USER, ID, { [name]: `new-${name}` })));
    const expected = Object.fromEntries(names.map((name) => [name, `new-${name}`]));
    expect(await a?.get(USER, ID, { includeCredentials: true })).toMatchObject(expected);
  },

  'shared/300-updates: of 300 updates by two at once none is lost': async ({ open }) =>
    expectNoneLost([await open(), await open()]),

  'shared/lock: the lock of one keeps the other waiting': async ({ open }) => {
    const [a, b] = [await open(), await open()];
    await a.create(session());
    const order: string[] = [];
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const first = a.withLock(USER, ID, async () => {
      entered();
      await expectFailure(
        b.withLock(USER, ID, async () => expect.unreachable(), { waitMs: 0 }),
        'locked',
      );
      order.push('first');
    });
    await inside;
    await Promise.all([first, b.withLock(USER, ID, async () => order.push('second'))]);
    expect(order).toEqual(['first', 'second']);
  },

  'shared/dead-holder: the lock of a holder that is gone becomes free': async ({ open }) => {
    const [a, b] = [await open(), await open()];
    await a.create(session());
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    // The store goes away while it holds the lock: it can neither extend it nor give it back.
    const lost = a.withLock(
      USER,
      ID,
      async () => {
        entered();
        await a.disconnect();
        await new Promise((resolve) => setTimeout(resolve, 1_500));
      },
      { ttlMs: 1_000 },
    );
    lost.catch(() => undefined);
    await inside;
    expect(await b.withLock(USER, ID, async () => 'free', { waitMs: 10_000 })).toBe('free');
    await expectFailure(lost, 'lock_lost');
  },

  'shared/refresh: both sides together present a refresh token once': async ({ open }) => {
    const stores = [await open(), await open()];
    const tokens = (number: number): OAuthTokens => ({
      access_token: `a${number}`,
      token_type: 'Bearer',
      refresh_token: `r${number}`,
    });
    await stores[0]?.create(session({ tokens: tokens(1) }));
    const presented: unknown[] = [];
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        stores[at % 2]?.refreshTokens(
          USER,
          ID,
          async (current) => {
            presented.push(current.tokens?.refresh_token);
            return tokens(2);
          },
          { staleAccessToken: 'a1' },
        ),
      ),
    );
    expect(presented).toEqual(['r1']);
    for (const result of results) expect(result?.tokens).toEqual(tokens(2));
  },
};
