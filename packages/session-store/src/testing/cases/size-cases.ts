import { expect } from 'vitest';
import type { Session } from '../../session.ts';
import { type Cases, expectFailure, ID, session, USER } from '../case-kit.ts';

const LIMIT = 10_000;
const REFUSED = /^Session record is \d+ bytes, the limit is 10000: .* raise the option maxRecordBytes$/;

const text = (bytes: number): string => 'x'.repeat(bytes);
const tokens = (bytes: number) => ({ access_token: text(bytes), token_type: 'Bearer' });

/** How much a session may hold. */
export const sizeCases: Cases = {
  'store/record-limit: a record that is too large is refused, one below the limit is stored': async ({ open }) => {
    const store = await open({ maxRecordBytes: LIMIT });
    await store.create(session({ metadata: { a: text(9_000) } }));
    const tooLarge = session({ sessionId: 'large', metadata: { a: 'é'.repeat(5_000) } });
    await expectFailure(store.create(tooLarge), 'validation', REFUSED);
    await expectFailure(store.update(USER, ID, { metadata: { a: text(LIMIT) } }), 'validation', REFUSED);
    expect(await store.listIds(USER)).toEqual([ID]);
  },

  'store/record-limit-of-many-changes: small changes do not add up to more': async ({ open }) => {
    const store = await open({ maxRecordBytes: LIMIT });
    const read = (): Promise<Session | null> => store.get(USER, ID, { includeCredentials: true });
    await store.create(session());
    await store.update(USER, ID, { metadata: { a: text(4_000) } });
    await store.update(USER, ID, { serverName: text(4_000) });
    const before = await read();
    await expectFailure(store.update(USER, ID, { headers: { h: text(3_000) } }), 'validation', REFUSED);
    await expectFailure(store.patchCredentials(USER, ID, { tokens: tokens(3_000) }), 'validation', REFUSED);
    expect(await read()).toEqual(before);
    // What makes it no larger, or smaller, is possible as before.
    await store.update(USER, ID, { serverName: text(4_000), status: 'active' });
    await store.touch(USER, ID);
    await store.update(USER, ID, { serverName: null, headers: { h: text(2_000) } });
    await expectFailure(store.update(USER, ID, { tokens: tokens(3_000) }, { ifVersion: 1 }), 'conflict');
    await store.update(USER, ID, { metadata: null, tokens: tokens(3_000) });
    expect(await read()).toMatchObject({ headers: { h: text(2_000) }, tokens: tokens(3_000), status: 'active' });
  },

  'store/record-limit-at-once: nor do they when they come at the same time': async ({ open }) => {
    const store = await open({ maxRecordBytes: LIMIT });
    await store.create(session());
    const part = text(3_000);
    const changes = [
      { serverName: part },
      { serverId: part },
      { metadata: { part } },
      { headers: { part } },
      { authUrl: part },
      { clientId: part },
      { codeVerifier: part },
    ];
    const results = await Promise.allSettled(changes.map((change) => store.update(USER, ID, change)));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    for (const error of refused) expect(error).toMatchObject({ code: 'validation', outcome: 'not-applied' });
    // Two of those that take the most when they are encrypted, three of the others.
    expect(refused.length).toBeGreaterThanOrEqual(4);
    expect(refused.length).toBeLessThanOrEqual(5);
    const found = await store.get(USER, ID, { includeCredentials: true });
    const kept = changes.filter((_, at) => results[at]?.status === 'fulfilled');
    expect(found).toMatchObject(Object.assign({}, ...kept) as object);
    expect(JSON.stringify(found).length).toBeLessThan(LIMIT + 500);
  },

  'store/record-limit-and-refresh: a pair that cannot be had again is stored all the same': async ({ open }) => {
    const store = await open({ maxRecordBytes: LIMIT });
    const metadata = { a: text(6_000) };
    await store.create(session({ metadata, tokens: { ...tokens(1_000), refresh_token: 'r1' } }));
    const fresh = { ...tokens(5_000), refresh_token: 'r2' };
    expect(await store.refreshTokens(USER, ID, async () => fresh)).toMatchObject({ tokens: fresh, stored: true });
    expect((await store.getCredentials(USER, ID))?.tokens).toEqual(fresh);
    // Also where it is larger than a whole session may be.
    const huge = { ...tokens(LIMIT), refresh_token: 'r3' };
    expect(await store.refreshTokens(USER, ID, async () => huge)).toMatchObject({ tokens: huge, stored: true });
    expect((await store.getCredentials(USER, ID))?.tokens).toEqual(huge);
  },
};
