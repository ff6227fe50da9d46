import { describe, expect, it } from 'vitest';
import type { FieldName } from '../../src/session-driver.ts';
import { FIELD_NAMES } from '../../src/sql/columns.ts';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import { DAY_MS, KEY, makeDriver, newRecord, openPool } from '../sql-harness.ts';
import { content, onEveryServer } from './driver-harness.ts';

onEveryServer((at) => {
  describe('insert', () => {
    it('sql/insert-keeps-moments: keeps moments of the caller, never later than the clock of the server', async () => {
      const createdAt = Date.now() - 5_000;
      await at.driver.insert(newRecord({ createdAt, updatedAt: createdAt + 1_000 }));
      const record = await at.read();
      expect(record).toMatchObject({
        status: 'pending',
        createdAt,
        updatedAt: createdAt + 1_000,
        pendingSince: createdAt,
        pendingUntil: createdAt + 600_000,
      });
      expect(record.version).toBeGreaterThan((Date.now() - 60_000) * 1_000);

      const future = Date.now() + DAY_MS;
      await at.driver.insert(newRecord({ sessionId: 'future', createdAt: future, updatedAt: future }));
      const other = await at.driver.read({ userId: 'user', sessionId: 'future' }, []);
      expect(other?.createdAt).toBeLessThan(future - DAY_MS / 2);
      expect(other?.updatedAt).toBeLessThan(future - DAY_MS / 2);
    });

    it('sql/insert-one-winner: of many at once exactly one creates the session', async () => {
      const results = await Promise.all(Array.from({ length: 20 }, () => at.driver.insert(newRecord())));
      expect(results.filter((result) => result === 'ok')).toHaveLength(1);
      expect(results.filter((result) => result === 'exists')).toHaveLength(19);
    });

    it('sql/insert-replaces-leftover: replaces an expired one as a whole, under a higher version', async () => {
      await at.driver.insert(newRecord({ fields: { ...newRecord().fields, tokens: '{"access_token":"old"}' } }));
      const far = 9_000_000_000_000_000;
      await at.setRow(
        `expires_at = now() - interval '1 s', lock_token = 'x', lock_until = now() + interval '1 h', version = ${far}`,
      );
      expect(await at.driver.read(KEY, FIELD_NAMES)).toBeUndefined();
      const updatedAt = Date.now() - 60_000;
      expect(await at.driver.insert(newRecord({ status: 'active', updatedAt }))).toBe('ok');
      const record = await at.read();
      // Would be now if the trigger had overwritten it.
      expect(record).toMatchObject({ status: 'active', updatedAt, version: far + 1, pendingSince: undefined });
      expect(record.fields.tokens).toBeUndefined();
      expect(await at.stored('lock_token, lock_until')).toEqual({ lock_token: null, lock_until: null });
      expect(await at.driver.insert(newRecord())).toBe('exists');
    });

    it('sql/insert-documented-columns: writes what the documented columns mean', async () => {
      await at.driver.insert(
        newRecord({
          status: 'active',
          fields: { ...newRecord().fields, codeVerifier: '"plain"', headers: '{"a":"b"}' },
        }),
      );
      const row = await at.stored(
        `active, server_url, callback_url, transport_type, code_verifier, headers, expires_at = updated_at + interval '30 days' as ends`,
      );
      expect(row).toEqual({
        active: true,
        server_url: 'https://server.example/mcp',
        callback_url: 'https://app.example/callback',
        transport_type: 'streamable-http',
        code_verifier: 'plain',
        headers: { a: 'b' },
        ends: true,
      });
    });
  });

  describe('fields', () => {
    const values: [FieldName, string][] = [
      ['serverName', '""'],
      ['serverName', '"\\"quoted\\" from the start"'],
      ['serverName', '"mcpenc:2:not:an:envelope:really"'],
      ['serverName', JSON.stringify('𝄞 \\ " \n \u007f')],
      ['codeVerifier', 'mcpenc:2:k1:aa:bb:cc'],
      ['authUrl', 'mcpenc:2:k1:aa:bb:cc'],
      ['tokens', 'mcpenc:2:k1:aa:bb:cc'],
      ['tokens', 'enc:1:aa:bb:cc'],
      ['clientInformation', '{"redirect_uris": []}'],
      ['metadata', '{}'],
      ['metadata', '{"big": 123456789012345678901234567890, "off": false, "none": null, "text": "mcpenc:2:x"}'],
      ['oauthState', '{"nonce": "n", "createdAt": 1790000000000}'],
    ];
    it.each(values)('sql/field-round-trip: %s comes back as %s', async (field, value) => {
      await at.driver.insert(newRecord({ fields: { ...newRecord().fields, [field]: value } }));
      expect((await at.read()).fields[field]).toBe(value);
      await at.driver.patch(KEY, { kind: 'content', set: {}, unset: [field] });
      expect(field in (await at.read()).fields).toBe(false);
      await at.driver.patch(KEY, content({ [field]: value }));
      expect((await at.read()).fields[field]).toBe(value);
    });

    it('sql/envelope-in-jsonb: an envelope stands in JSONB as a JSON string', async () => {
      await at.driver.insert(newRecord({ fields: { ...newRecord().fields, tokens: 'mcpenc:2:k1:aa:bb:cc' } }));
      expect(await at.stored('jsonb_typeof(tokens) as type, tokens::text as text')).toEqual({
        type: 'string',
        text: '"mcpenc:2:k1:aa:bb:cc"',
      });
    });

    it('sql/rows-of-others: rows that other programs wrote are read', async () => {
      await at.pool.query(
        `insert into public.mcp_sessions (session_id, user_id, server_url, transport_type, callback_url, expires_at, active, server_name, tokens, created_at, updated_at)
         values ($1, $2, 'http://s', 'sse', 'http://c', now() + interval '1 h', null, '"half', '{"access_token": "t"}', '2026-01-02T03:04:05.6789Z', now())`,
        [KEY.sessionId, KEY.userId],
      );
      const record = await at.read();
      expect(record).toMatchObject({ status: 'pending', version: 1, createdAt: Date.UTC(2026, 0, 2, 3, 4, 5, 679) });
      expect(record.pendingSince).toBe(record.createdAt);
      expect(record.fields).toEqual({
        serverUrl: '"http://s"',
        callbackUrl: '"http://c"',
        transportType: '"sse"',
        serverName: JSON.stringify('"half'),
        tokens: '{"access_token": "t"}',
      });
    });

    it('sql/harmless-parsers: type parsers of the application change nothing', async () => {
      // Text itself must stay text, as with every driver; everything else is spoilt.
      const types = { getTypeParser: (oid: number) => (oid === 25 ? (value: string) => value : () => 'parsed') };
      const spoilt = openPool({ connectionString: at.url, types: types as never });
      await at.driver.insert(newRecord());
      const expected = await at.read();
      expect(await makeDriver(poolConnection(spoilt)).read(KEY, FIELD_NAMES)).toEqual(expected);
      await spoilt.end();
    });
  });

  describe('life cycle', () => {
    it('sql/live-rule: active sessions by their last change, others by expires_at', async () => {
      await at.driver.insert(newRecord({ status: 'active' }));
      await at.setRow(`expires_at = now() - interval '1 day'`);
      expect(await at.driver.read(KEY, [])).toBeDefined();
      await at.setRow(`updated_at = now() - interval '30 days 1 second', expires_at = now() + interval '1 day'`);
      expect(await at.driver.read(KEY, [])).toBeUndefined();
      await at.setRow('active = null');
      expect(await at.driver.read(KEY, [])).toMatchObject({ status: 'pending' });
      await at.setRow('expires_at = now()');
      expect(await at.driver.read(KEY, [])).toBeUndefined();
    });

    it('sql/expired-is-not-there: no operation finds or revives an expired session', async () => {
      await at.driver.insert(newRecord({ createdAt: Date.now() - 600_001 }));
      expect(await at.driver.patch(KEY, content({ serverName: '"x"' }))).toBe('missing');
      expect(await at.driver.patch(KEY, { kind: 'touch', set: {}, unset: [] })).toBe('missing');
      expect(await at.driver.patch(KEY, { kind: 'rekey', set: {}, unset: [], ifVersion: 1 })).toBe('missing');
      expect(await at.driver.acquireLease(KEY, 'token', 1_000)).toBe('missing');
      expect(await at.driver.readUser('user', { fields: [], limit: 10, after: undefined })).toEqual({
        records: [],
        more: false,
      });
      expect(await at.driver.listIds('user')).toEqual([]);
      expect(await at.scanned()).toEqual([]);
      expect(await at.driver.remove(KEY, 12)).toBe('missing');
      expect((await at.pool.query('select from public.mcp_sessions')).rowCount).toBe(0);
    });

    it('sql/pending-deadline: is moved by changes, but not beyond maxPendingMs', async () => {
      const createdAt = Date.now() - 1_000;
      await at.driver.insert(newRecord({ createdAt }));
      await at.setRow(`pending_since = now() - interval '55 minutes'`);
      await at.driver.patch(KEY, { kind: 'touch', set: {}, unset: [] });
      const { pendingUntil, pendingSince, updatedAt } = await at.read();
      expect(pendingUntil).toBe((pendingSince ?? 0) + 3_600_000);
      expect(updatedAt).toBeGreaterThan(createdAt);
      // From before migration 2: the creation counts.
      await at.setRow(`pending_since = null, created_at = now() - interval '58 minutes'`);
      await at.driver.patch(KEY, content({}));
      const old = await at.read();
      expect(old.pendingUntil).toBe(old.createdAt + 3_600_000);
    });

    it('sql/becomes-pending: an old active session has its full window when it becomes pending', async () => {
      await at.driver.insert(newRecord({ status: 'active', createdAt: Date.now() - 10 * DAY_MS }));
      await at.driver.patch(KEY, { ...content({}), status: 'pending' });
      const record = await at.read();
      expect(record.pendingUntil - record.updatedAt).toBe(600_000);
      expect(record.pendingSince).toBe(record.updatedAt);
      // Pending once more is no new beginning.
      await at.setRow(`pending_since = now() - interval '55 minutes'`);
      await at.driver.patch(KEY, { ...content({}), status: 'pending' });
      const again = await at.read();
      expect(again.pendingUntil).toBe((again.pendingSince ?? 0) + 3_600_000);
      await at.driver.patch(KEY, { ...content({}), status: 'active' });
      expect(await at.stored(`active, expires_at = updated_at + interval '30 days' as ends`)).toEqual({
        active: true,
        ends: true,
      });
    });
  });
});
