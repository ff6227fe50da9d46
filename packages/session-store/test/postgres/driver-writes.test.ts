import { describe, expect, it } from 'vitest';
import type { FieldName } from '../../src/session-driver.ts';
import { DAY_MS, KEY, newRecord } from '../sql-harness.ts';
import { content, onEveryServer } from './driver-harness.ts';

onEveryServer((at) => {
  describe('patch', () => {
    it('sql/patch-version: content raises the version by one, touch and rekey leave it', async () => {
      await at.driver.insert(newRecord());
      const { version } = await at.read();
      expect(await at.driver.patch(KEY, content({ serverName: '"a"' }))).toEqual({ version: version + 1 });
      expect(await at.driver.patch(KEY, { kind: 'touch', set: {}, unset: [] })).toEqual({ version: version + 1 });
      expect(
        await at.driver.patch(KEY, { kind: 'rekey', set: { tokens: '{}' }, unset: [], ifVersion: version + 1 }),
      ).toEqual({
        version: version + 1,
      });
    });

    it('sql/patch-missing-conflict: tells a missing session from another version', async () => {
      expect(await at.driver.patch(KEY, content({}, 1))).toBe('missing');
      await at.driver.insert(newRecord());
      const { version } = await at.read();
      expect(await at.driver.patch(KEY, content({ serverName: '"a"' }, version + 1))).toBe('conflict');
      expect((await at.read()).fields.serverName).toBeUndefined();
      expect(await at.driver.patch(KEY, content({ serverName: '"a"' }, version))).toEqual({ version: version + 1 });
    });

    it('sql/patch-disjoint: changes of different fields at once lose nothing', async () => {
      await at.driver.insert(newRecord());
      const { version } = await at.read();
      const fields: FieldName[] = ['serverId', 'serverName', 'authUrl', 'codeVerifier', 'clientId', 'serverUrl'];
      await Promise.all(
        Array.from({ length: 5 }, (_, round) =>
          fields.map((field) => at.driver.patch(KEY, content({ [field]: `"${field}${round}"` }))),
        ).flat(),
      );
      const record = await at.read();
      expect(record.version).toBe(version + 30);
      for (const field of fields) expect(record.fields[field]).toMatch(new RegExp(`^"${field}[0-4]"$`));
    });

    it('sql/patch-one-winner: of many with the same version exactly one wins', async () => {
      await at.driver.insert(newRecord());
      const { version } = await at.read();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => at.driver.patch(KEY, content({ serverName: `"${i}"` }, version))),
      );
      expect(results.filter((result) => result === 'conflict')).toHaveLength(19);
    });

    it('sql/patch-against-remove: an update never brings back what was removed', async () => {
      for (let round = 0; round < 20; round += 1) {
        await at.driver.insert(newRecord());
        const [patched] = await Promise.all([
          at.driver.patch(KEY, content({ serverName: '"x"' })),
          at.driver.remove(KEY),
        ]);
        expect(patched === 'missing' || typeof patched === 'object').toBe(true);
        expect(await at.driver.read(KEY, [])).toBeUndefined();
      }
    });

    it('sql/quiet-writes: lease and rekey leave the time of the last change', async () => {
      const updatedAt = Date.now() - 20 * DAY_MS;
      await at.driver.insert(newRecord({ status: 'active', createdAt: updatedAt, updatedAt }));
      await at.driver.acquireLease(KEY, 'a', 10_000);
      await at.driver.acquireLease(KEY, 'a', 10_000);
      await at.driver.releaseLease(KEY, 'a');
      await at.driver.patch(KEY, { kind: 'rekey', set: { tokens: '{}' }, unset: [] });
      await at.driver.patch(KEY, { kind: 'rekey', set: { tokens: '{}' }, unset: [] });
      expect((await at.read()).updatedAt).toBe(updatedAt);
      await at.driver.patch(KEY, { kind: 'touch', set: {}, unset: [] });
      expect((await at.read()).updatedAt).toBeGreaterThan(updatedAt + DAY_MS);
    });
  });

  describe('remove', () => {
    it('sql/remove: says what it found', async () => {
      expect(await at.driver.remove(KEY)).toBe('missing');
      await at.driver.insert(newRecord());
      const { version } = await at.read();
      expect(await at.driver.remove(KEY, version + 1)).toBe('conflict');
      expect(await at.driver.remove(KEY, version)).toBe('ok');
      expect(await at.driver.remove(KEY, version)).toBe('missing');
    });

    it('sql/recreated-version: a version of before never matches the session that was created again', async () => {
      await at.driver.insert(newRecord());
      const versions = new Set<number>();
      for (let round = 0; round < 10; round += 1) {
        const patched = await at.driver.patch(KEY, content({ serverName: '"x"' }));
        versions.add((patched as { version: number }).version);
        await at.driver.remove(KEY);
        await at.driver.insert(newRecord());
        expect(versions.has((await at.read()).version)).toBe(false);
      }
    });
  });

  describe('lease', () => {
    it('sql/lease: is held by one token, extended by it, and given back by it alone', async () => {
      expect(await at.driver.acquireLease(KEY, 'a', 10_000)).toBe('missing');
      await at.driver.insert(newRecord());
      const { version } = await at.read();
      expect(await at.driver.acquireLease(KEY, 'a', 10_000)).toEqual({ version });
      expect(await at.driver.acquireLease(KEY, 'b', 10_000)).toBe('held');
      expect(await at.driver.acquireLease(KEY, 'a', 10_000)).toEqual({ version });
      await at.driver.releaseLease(KEY, 'b');
      expect(await at.driver.acquireLease(KEY, 'b', 10_000)).toBe('held');
      await at.driver.releaseLease(KEY, 'a');
      expect(await at.driver.acquireLease(KEY, 'b', 1)).toEqual({ version });
      await expect.poll(() => at.driver.acquireLease(KEY, 'c', 10_000)).toEqual({ version });
    });

    it('sql/lease-one-winner: of many at once exactly one holds it', async () => {
      await at.driver.insert(newRecord());
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => at.driver.acquireLease(KEY, `t${i}`, 10_000)),
      );
      expect(results.filter((result) => result === 'held')).toHaveLength(19);
    });
  });
});
