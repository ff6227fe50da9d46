import { describe, expect, it } from 'vitest';
import type { RedisClient } from '../../src/redis/redis-client.ts';
import { collect, DAY_MS, KEY, makeDriver, newRecord } from './redis-harness.ts';

/** What the driver does on one server and on a cluster alike. */
export function driverCases(where: string, place: () => { client: RedisClient; prefix: string }): void {
  const driverWith = (options: Parameters<typeof makeDriver>[1] = {}) => {
    const { client, prefix } = place();
    return makeDriver(client, { prefix, ...options });
  };

  describe(`on ${where}`, () => {
    it(`redis/${where}/insert: stores what it is given, once`, async () => {
      const driver = driverWith();
      await driver.init();
      const before = Date.now();
      expect(await driver.insert(newRecord({ createdAt: 1_000, updatedAt: before - DAY_MS }))).toBe('ok');
      expect(await driver.insert(newRecord())).toBe('exists');
      const record = await driver.read(KEY, ['serverUrl', 'tokens']);
      expect(record).toMatchObject({
        ...KEY,
        status: 'active',
        createdAt: 1_000,
        updatedAt: before - DAY_MS,
        pendingSince: undefined,
        fields: { serverUrl: '"https://server"' },
      });
      expect(record?.version).toBeGreaterThan(before * 1_000);
      expect(Number.isSafeInteger(record?.version)).toBe(true);
      await driver.clear();
    });

    it(`redis/${where}/future: moments to come are cut at the clock of the server`, async () => {
      const driver = driverWith();
      await driver.insert(newRecord({ status: 'pending', createdAt: Date.now() + DAY_MS }));
      const record = await driver.read(KEY, []);
      expect(record?.createdAt).toBeLessThanOrEqual(Date.now() + 5);
      expect(record?.pendingUntil).toBe((record?.createdAt ?? 0) + 600_000);
      expect(record?.pendingSince).toBe(record?.createdAt);
      await driver.clear();
    });

    it(`redis/${where}/expired: what has ended is not there, and leaves room`, async () => {
      const driver = driverWith({ pendingMs: 200 });
      expect(await driver.insert(newRecord({ status: 'pending', createdAt: Date.now() - 1_000 }))).toBe('ok');
      expect(await driver.read(KEY, [])).toBeUndefined();
      await driver.insert(newRecord({ status: 'pending' }));
      await driver.acquireLease(KEY, 'old', 60_000);
      const first = await driver.read(KEY, []);
      await expect.poll(() => driver.read(KEY, [])).toBeUndefined();
      expect(await driver.listIds('user')).toEqual([]);
      expect(await driver.readUser('user', { fields: [], limit: 10, after: undefined })).toEqual({
        records: [],
        more: false,
      });
      expect(await collect(driver.scan())).toEqual([]);
      expect(await driver.patch(KEY, { kind: 'touch', set: {}, unset: [] })).toBe('missing');
      expect(await driver.acquireLease(KEY, 'old', 1_000)).toBe('missing');
      expect(await driver.insert(newRecord())).toBe('ok');
      expect((await driver.read(KEY, []))?.version).toBeGreaterThan(first?.version ?? Infinity);
      expect(await driver.acquireLease(KEY, 'new', 1_000)).toHaveProperty('version');
      await driver.clear();
    });

    it(`redis/${where}/patch: sets, removes, counts and guards`, async () => {
      const driver = driverWith();
      await driver.insert(
        newRecord({ fields: { serverId: '""', tokens: '[]', headers: '{}' }, updatedAt: 1 + Date.now() - DAY_MS }),
      );
      const before = await driver.read(KEY, []);
      if (before === undefined) throw new Error('not there');
      const { version } = before;
      expect(
        await driver.patch(KEY, { kind: 'content', set: { codeVerifier: '"é\u{10FFFF}"' }, unset: ['tokens'] }),
      ).toEqual({ version: version + 1 });
      expect(await driver.patch(KEY, { kind: 'content', set: {}, unset: [], ifVersion: version })).toBe('conflict');
      const after = await driver.read(KEY, ['serverId', 'tokens', 'headers', 'codeVerifier']);
      expect(after?.fields).toEqual({ serverId: '""', headers: '{}', codeVerifier: '"é\u{10FFFF}"' });
      expect(after?.updatedAt).toBeGreaterThan(before.updatedAt + DAY_MS / 2);
      expect(
        await driver.patch(KEY, { kind: 'rekey', set: { headers: '1' }, unset: [], ifVersion: version + 1 }),
      ).toEqual({ version: version + 1 });
      const rekeyed = await driver.read(KEY, ['headers']);
      expect(rekeyed).toMatchObject({ version: version + 1, updatedAt: after?.updatedAt, fields: { headers: '1' } });
      expect(await driver.patch(KEY, { kind: 'touch', set: {}, unset: [] })).toEqual({ version: version + 1 });
      expect(await driver.patch({ ...KEY, userId: 'other' }, { kind: 'touch', set: {}, unset: [] })).toBe('missing');
      await driver.clear();
    });

    it(`redis/${where}/pending: renewed up to a bound, and in full when it becomes pending again`, async () => {
      const driver = driverWith({ pendingMs: 10_000, maxPendingMs: 12_000 });
      const createdAt = Date.now() - 9_000;
      await driver.insert(newRecord({ status: 'pending', createdAt }));
      await driver.patch(KEY, { kind: 'touch', set: {}, unset: [] });
      expect((await driver.read(KEY, []))?.pendingUntil).toBe(createdAt + 12_000);
      await driver.patch(KEY, { kind: 'content', set: {}, unset: [], status: 'active' });
      await driver.patch(KEY, { kind: 'content', set: {}, unset: [], status: 'pending' });
      const again = await driver.read(KEY, []);
      expect(again?.pendingSince).toBeGreaterThan(createdAt + 8_000);
      expect(again?.pendingUntil).toBe((again?.pendingSince ?? 0) + 10_000);
      await driver.clear();
    });

    it(`redis/${where}/remove: with record and lease, guarded, for good`, async () => {
      const driver = driverWith();
      await driver.insert(newRecord());
      const version = (await driver.read(KEY, []))?.version ?? 0;
      await driver.acquireLease(KEY, 'holder', 60_000);
      expect(await driver.remove(KEY, version + 1)).toBe('conflict');
      expect(await driver.remove(KEY, version)).toBe('ok');
      expect(await driver.remove(KEY, version)).toBe('missing');
      expect(await driver.patch(KEY, { kind: 'content', set: { serverId: '1' }, unset: [] })).toBe('missing');
      await driver.insert(newRecord());
      expect(await driver.patch(KEY, { kind: 'content', set: {}, unset: [], ifVersion: version })).toBe('conflict');
      expect(await driver.acquireLease(KEY, 'another', 1_000)).toHaveProperty('version');
      await driver.clear();
    });

    it(`redis/${where}/leases: one holder, until it gives back or dies`, async () => {
      const driver = driverWith();
      await driver.insert(newRecord());
      const before = await driver.read(KEY, []);
      expect(await driver.acquireLease(KEY, 'a', 60_000)).toEqual({ version: before?.version });
      expect(await driver.acquireLease(KEY, 'b', 60_000)).toBe('held');
      expect(await driver.acquireLease(KEY, 'a', 300)).toEqual({ version: before?.version });
      await driver.releaseLease(KEY, 'b');
      expect(await driver.acquireLease(KEY, 'b', 60_000)).toBe('held');
      await expect.poll(() => driver.acquireLease(KEY, 'b', 60_000)).toHaveProperty('version');
      await driver.releaseLease(KEY, 'b');
      expect(await driver.acquireLease(KEY, 'c', 60_000)).toHaveProperty('version');
      expect(await driver.read(KEY, [])).toEqual(before);
      await driver.clear();
    });

    it(`redis/${where}/order: by creation, then by the bytes of the id, in pages`, async () => {
      const driver = driverWith();
      const now = Date.now();
      const ids = ['b', 'a', '\u{1F600}', '\uFFFD', '__proto__', '*', '{', 'a:b'];
      for (const [index, sessionId] of ids.entries()) {
        await driver.insert(newRecord({ sessionId, createdAt: now - (index % 2) * 1_000 }));
      }
      await driver.insert(newRecord({ userId: 'other' }));
      const { records, more } = await driver.readUser('user', { fields: ['serverUrl'], limit: 100, after: undefined });
      expect(more).toBe(false);
      const order = records.map(({ sessionId }) => sessionId);
      expect(order).toEqual(['*', 'a', 'a:b', '\uFFFD', '__proto__', 'b', '{', '\u{1F600}']);
      expect(records.every(({ fields }) => fields.serverUrl === '"https://server"')).toBe(true);
      const paged: string[] = [];
      let after: { createdAt: number; sessionId: string } | undefined;
      for (;;) {
        const page = await driver.readUser('user', { fields: [], limit: 3, after });
        paged.push(...page.records.map(({ sessionId }) => sessionId));
        after = page.records.at(-1);
        if (!page.more) break;
      }
      expect(paged).toEqual(order);
      expect(await driver.listIds('user')).toEqual(['*', '__proto__', 'a', 'a:b', 'b', '{', '\uFFFD', '\u{1F600}']);
      await driver.clear();
    });

    it(`redis/${where}/evicted: what is gone without us leaves the index with the next list`, async () => {
      const { client, prefix } = place();
      const driver = makeDriver(client, { prefix });
      await driver.insert(newRecord());
      await driver.insert(newRecord({ sessionId: 'kept' }));
      const index = `${prefix}{dXNlcg}:idx`;
      for (const list of [
        () => driver.listIds('user'),
        () => driver.readUser('user', { fields: [], limit: 9, after: undefined }),
      ]) {
        await driver.remove(KEY);
        await driver.insert(newRecord());
        await client.call('del', `${prefix}{dXNlcg}:s:c2Vzc2lvbg`);
        expect(await client.call('zcard', index)).toBe(2);
        const found = await list();
        expect('records' in found ? found.records.map(({ sessionId }) => sessionId) : found).toEqual(['kept']);
        expect(await client.call('zcard', index)).toBe(1);
      }
      await client.call('zadd', index, Date.now() + DAY_MS, 'never was');
      await driver.clear();
      expect(await client.call('exists', index)).toBe(0);
    });

    it(`redis/${where}/thousands: listed and cleared within what a command may hold`, async () => {
      const driver = driverWith();
      const ids = Array.from({ length: 5_000 }, (_, n) => `session-${n}`);
      await Promise.all(ids.map((sessionId) => driver.insert(newRecord({ sessionId }))));
      expect(await driver.listIds('user')).toHaveLength(5_000);
      expect(new Set((await collect(driver.scan())).map(({ sessionId }) => sessionId)).size).toBe(5_000);
      expect(
        (await driver.readUser('user', { fields: ['serverUrl'], limit: 10_000, after: undefined })).records,
      ).toHaveLength(5_000);
      await driver.clear();
      expect(await driver.listIds('user')).toEqual([]);
    });

    it(`redis/${where}/writers: nothing is lost among many`, async () => {
      const driver = driverWith();
      const winners = await Promise.all(Array.from({ length: 50 }, () => driver.insert(newRecord())));
      expect(winners.filter((result) => result === 'ok')).toHaveLength(1);
      const start = (await driver.read(KEY, []))?.version ?? 0;
      await Promise.all(
        Array.from({ length: 200 }, (_, n) =>
          driver.patch(KEY, { kind: 'content', set: { [`f${n}`]: String(n) } as never, unset: [] }),
        ),
      );
      const names = Array.from({ length: 200 }, (_, n) => `f${n}`) as never[];
      const record = await driver.read(KEY, names);
      expect(Object.keys(record?.fields ?? {})).toHaveLength(200);
      expect(record?.version).toBe(start + 200);
      const guarded = await Promise.all(
        Array.from({ length: 20 }, () =>
          driver.patch(KEY, { kind: 'content', set: {}, unset: [], ifVersion: start + 200 }),
        ),
      );
      expect(guarded.filter((result) => result !== 'conflict')).toEqual([{ version: start + 201 }]);
      await driver.clear();
    });
  });
}
