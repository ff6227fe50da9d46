import { afterEach, describe, expect, it, vi } from 'vitest';
import { FaultyStore, session } from './faults-harness.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('what onError is told', () => {
  it('faults/handler: an onError that throws or rejects harms nobody, and is printed', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    for (const onError of [
      () => {
        throw new Error('of the handler');
      },
      async () => {
        throw new Error('of the handler');
      },
    ]) {
      const faulty = new FaultyStore({ onError });
      const { store } = faulty;
      await store.create(session);
      faulty.fault = (method, call) => (method === 'releaseLease' ? Promise.reject(new Error('reset')) : call());
      expect(await store.withLock('u', 's', async () => 'done')).toBe('done');
      faulty.fault = undefined;
      await store.disconnect();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(printed.mock.calls.join('\n')).toContain('the onError handler itself failed: of the handler');
    printed.mockRestore();
  });

  it('faults/no-key-in-production: a backend made by hand warns as well, once', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    vi.stubEnv('STORAGE_ENCRYPTION_KEY', undefined);
    const faulty = new FaultyStore({ encryption: undefined });
    const { store } = faulty;
    await store.create(session);
    await store.list('u');
    expect(faulty.reports.map((report) => [report.severity, report.message])).toEqual([
      ['warning', 'No encryption key configured: credentials are stored in plain text'],
    ]);
    expect((await store.health()).warnings).toEqual([faulty.reports[0]?.message]);
    await store.disconnect();
  });
});
