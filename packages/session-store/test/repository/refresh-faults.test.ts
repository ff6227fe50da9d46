import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { unavailable } from '../../src/session-errors.ts';
import { FaultyStore, pair, session } from './faults-harness.ts';

describe('a backend in trouble while tokens are refreshed', () => {
  it('faults/refresh-answer-lost: a pair that was stored without our knowing is found there', async () => {
    const faulty = new FaultyStore({ operationTimeoutMs: 2_000 });
    const { store } = faulty;
    await store.create({ ...session, tokens: pair(1) });
    let lost = 0;
    faulty.fault = async (method, call) => {
      const result = await call();
      if (method !== 'patch' || lost > 0) return result;
      lost += 1;
      throw unavailable('faulty', 'update', { outcome: 'unknown' });
    };
    let presented = 0;
    const result = await store.refreshTokens('u', 's', async () => pair(++presented + 1));
    expect(result).toEqual({ tokens: pair(2), source: 'refreshed', stored: true });
    expect({ presented, lost }).toEqual({ presented: 1, lost: 1 });
    expect((await store.get('u', 's'))?.version).toBeDefined();
    await store.disconnect();
  });

  it('faults/refresh-not-stored: a pair that cannot be stored is handed over all the same', async () => {
    const faulty = new FaultyStore({ operationTimeoutMs: 400 });
    const { store } = faulty;
    await store.create({ ...session, tokens: pair(1) });
    const result = await store.refreshTokens('u', 's', async () => {
      faulty.fault = () => Promise.reject(unavailable('faulty', 'update'));
      return pair(2);
    });
    expect(result).toEqual({ tokens: pair(2), source: 'refreshed', stored: false });
    expect(faulty.reports.length).toBeGreaterThan(0);
    expect(faulty.reports[0]).toMatchObject({ code: 'unavailable', severity: 'error' });
    expect(inspect(faulty.reports, { depth: 9 })).not.toContain('SECRET');
    faulty.fault = undefined;
    expect((await store.getCredentials('u', 's'))?.tokens).toEqual(pair(1));
    await store.disconnect();
  });

  it('faults/refresh-not-encrypted: also when it is the key that cannot be had', async () => {
    let broken = false;
    const key = { kid: 'k', key: new Uint8Array(32).fill(3) };
    const faulty = new FaultyStore({
      encryption: {
        current: async () => {
          if (broken) throw new Error('vault sealed');
          return key;
        },
        byId: async () => key.key,
      },
    });
    const { store } = faulty;
    await store.create({ ...session, tokens: pair(1) });
    const result = await store.refreshTokens('u', 's', async () => {
      broken = true;
      return pair(2);
    });
    expect(result).toEqual({ tokens: pair(2), source: 'refreshed', stored: false });
    expect(faulty.reports.map((report) => report.code)).toContain('encryption');
    broken = false;
    await store.disconnect();
  });
});
