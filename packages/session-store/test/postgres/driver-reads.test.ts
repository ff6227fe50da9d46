import { queryOnce } from 'test-support';
import { describe, expect, it } from 'vitest';
import { DAY_MS, newRecord } from '../sql-harness.ts';
import { onEveryServer } from './driver-harness.ts';

onEveryServer((at) => {
  describe('reading many', () => {
    it('sql/list-order: by creation, then by the bytes of the id; pages do not lose or repeat', async () => {
      const createdAt = Date.now() - 5_000;
      // UTF-16 would put U+FFFD after U+1D11E, and most collations `B` after `a`.
      const ids = ['B', 'a', 'é', '\u{fffd}', '\u{1d11e}'];
      for (const sessionId of ids.toReversed()) await at.driver.insert(newRecord({ sessionId, createdAt }));
      await at.driver.insert(newRecord({ sessionId: 'earlier', createdAt: createdAt - 1 }));
      // Microseconds, as other programs write them, change nothing.
      await at.setRow(
        `created_at = created_at + case when session_id = 'B' then interval '400 microseconds' else interval '0' end`,
      );
      const expected = ['earlier', ...ids];
      expect(await at.driver.listIds('user')).toEqual(
        expected.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      const seen: string[] = [];
      let after: { createdAt: number; sessionId: string } | undefined;
      for (let more = true; more; ) {
        const page = await at.driver.readUser('user', { fields: [], limit: 2, after });
        seen.push(...page.records.map(({ sessionId }) => sessionId));
        expect(page.more).toBe(seen.length < expected.length);
        after = page.records.at(-1);
        more = page.more;
      }
      expect(seen).toEqual(expected);
    });

    it('sql/page-bytes: a page ends at 4 MiB, and holds one record at least', async () => {
      const metadata = (bytes: number): string => `{"text": "${'x'.repeat(bytes)}"}`;
      const createdAt = Date.now() - 50_000;
      for (const [i, bytes] of [5_000_000, 1_500_000, 1_500_000, 1_500_000, 10].entries()) {
        await at.driver.insert(
          newRecord({
            sessionId: `${i}`,
            createdAt: createdAt + i,
            fields: { ...newRecord().fields, metadata: metadata(bytes) },
          }),
        );
      }
      const pages: string[][] = [];
      let after: { createdAt: number; sessionId: string } | undefined;
      for (let more = true; more; ) {
        const page = await at.driver.readUser('user', { fields: ['metadata'], limit: 100, after });
        pages.push(page.records.map(({ sessionId }) => sessionId));
        after = page.records.at(-1);
        more = page.more;
      }
      expect(pages).toEqual([['0'], ['1', '2'], ['3', '4']]);
      // What is not asked for does not count.
      expect((await at.driver.readUser('user', { fields: [], limit: 100, after: undefined })).records).toHaveLength(5);
    });

    it('sql/scan: every key once, over more than one page', async () => {
      await at.pool.query(
        `insert into public.mcp_sessions (session_id, user_id, server_url, transport_type, callback_url, expires_at)
         select 's' || i, 'u' || (i % 7), 'x', 'sse', 'x', now() + interval '1 h' from generate_series(1, 10001) as i`,
      );
      const keys = await at.scanned();
      expect(new Set(keys.map((key) => JSON.stringify(key))).size).toBe(10_001);
      expect(keys).toHaveLength(10_001);
    });

    it('sql/sweep: removes at most so many, tells what they were, and leaves what others hold', async () => {
      for (let i = 0; i < 5; i += 1) {
        await at.driver.insert(newRecord({ sessionId: `p${i}`, createdAt: Date.now() - 700_000 }));
        const long = Date.now() - 31 * DAY_MS;
        await at.driver.insert(newRecord({ sessionId: `d${i}`, status: 'active', createdAt: long, updatedAt: long }));
      }
      await at.driver.insert(newRecord());
      const first = await at.driver.sweep(4);
      expect(first.pending + first.dormant).toBe(4);
      const client = await at.pool.connect();
      await client.query('begin');
      const { rows } = await client.query<{ pending: boolean }>(
        `select active is not true as pending from public.mcp_sessions where session_id <> 'session' limit 1 for update`,
      );
      const second = await at.driver.sweep(100);
      expect(second.pending + second.dormant).toBe(5);
      await client.query('commit');
      client.release();
      const third = await at.driver.sweep(100);
      expect(third).toEqual(rows[0]?.pending ? { pending: 1, dormant: 0 } : { pending: 0, dormant: 1 });
      expect(first.pending + second.pending + third.pending).toBe(5);
      expect(await at.driver.listIds('user')).toEqual(['session']);
    });

    it('sql/clear: removes every row of the table', async () => {
      await at.driver.insert(newRecord());
      await at.driver.insert(newRecord({ userId: 'other', createdAt: 0 }));
      await at.driver.clear();
      expect(await queryOnce(at.url, 'select from public.mcp_sessions')).toEqual([]);
    });
  });

  describe('keys', () => {
    it('sql/keys-are-data: pairs that look alike when joined never meet', async () => {
      const parts = ['a:b', 'c', 'a', 'b:c', '{}', '*', '[', '%', '_', "'; drop table x; --", '__proto__', '😀', '\\'];
      for (const userId of parts) {
        for (const sessionId of parts) {
          const fields = { ...newRecord().fields, serverName: JSON.stringify([userId, sessionId].join(' | ')) };
          expect(await at.driver.insert(newRecord({ userId, sessionId, fields }))).toBe('ok');
        }
      }
      for (const userId of parts) {
        expect(await at.driver.listIds(userId)).toHaveLength(parts.length);
        for (const sessionId of parts) {
          const record = await at.driver.read({ userId, sessionId }, ['serverName']);
          expect(record?.fields.serverName).toBe(JSON.stringify([userId, sessionId].join(' | ')));
        }
      }
    });
  });
});
