import { inspect } from 'node:util';
import type { BackendOptions, OAuthTokens, SessionStore, SessionStoreError } from '@tmcp/session-store';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { backendRules } from '../../src/backend-options.ts';
import { MemoryDriver } from '../../src/memory/memory-driver.ts';
import { readOptions } from '../../src/options.ts';
import { configError, timedOut, unavailable } from '../../src/session-errors.ts';
import { SessionRepository } from '../../src/session-repository.ts';
import { type Fault, withFaults } from './faulty-driver.ts';

let fault: Fault | undefined;
let reports: SessionStoreError[] = [];

function open(options: BackendOptions = {}): SessionStore {
  fault = undefined;
  reports = [];
  const settings = readOptions(
    { operationTimeoutMs: 200, encryption: false, onError: (e: SessionStoreError) => reports.push(e), ...options },
    backendRules,
  );
  return new SessionRepository((context) => withFaults(new MemoryDriver(context, Date.now), () => fault), settings);
}

const session = {
  sessionId: 's',
  userId: 'u',
  serverUrl: 'https://mcp.example',
  callbackUrl: 'https://app.example',
  transportType: 'sse' as const,
  createdAt: Date.now(),
  oauthState: { nonce: 'n', createdAt: Date.now() },
};

const pair = (number: number): OAuthTokens => ({
  access_token: `SECRET-a${number}`,
  token_type: 'b',
  refresh_token: `SECRET-r${number}`,
});

const reads: readonly ((store: SessionStore) => Promise<unknown>)[] = [
  (store) => store.get('u', 's'),
  (store) => store.list('u'),
  (store) => store.listPage('u', {}),
  (store) => store.listIds('u'),
  (store) => store.getCredentials('u', 's'),
  (store) => store.listAllIds(),
];

const writes: readonly ((store: SessionStore) => Promise<unknown>)[] = [
  (store) => store.create(session),
  (store) => store.update('u', 's', { serverName: 'x' }),
  (store) => store.touch('u', 's'),
  (store) => store.delete('u', 's'),
  (store) => store.patchCredentials('u', 's', { clientId: 'x' }),
  (store) => store.clearCredentials('u', 's'),
  (store) => store.consumeOAuthState('u', 's', 'n'),
  (store) => store.withLock('u', 's', async () => undefined),
  (store) => store.sweep(),
  (store) => store.cleanupExpired(),
  (store) => store.clearAll(),
];

const succeeded = (): never => expect.unreachable('it succeeded');

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('a backend in trouble', () => {
  it('faults/hangs: every call settles in time, and a write says that nobody knows', async () => {
    const store = open();
    await store.create(session);
    fault = () => new Promise(() => {});
    const message = /^Storage backend faulty is unavailable: \w+ timed out after 200 ms$/;
    for (const read of reads) {
      const error: SessionStoreError = await read(store).then(succeeded, (reason) => reason);
      expect(error).toMatchObject({ code: 'unavailable', retryable: true, outcome: undefined });
      expect(error.message).toMatch(message);
    }
    for (const write of writes) {
      const error: SessionStoreError = await write(store).then(succeeded, (reason) => reason);
      expect(error).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
      expect(error.message).toMatch(message);
    }
    expect(await store.health()).toMatchObject({ ok: false, backend: 'faulty', error: 'unavailable' });
    fault = undefined;
    expect(await store.health()).toMatchObject({ ok: true });
    expect((await store.get('u', 's'))?.sessionId).toBe('s');
    await store.disconnect();
  });

  it('faults/raw-errors: what a driver throws becomes ours, without what it quotes', async () => {
    const store = open();
    await store.create(session);
    fault = () => {
      throw Object.assign(new Error('Failing row contains "SECRET" at redis://u:SECRET@h/0'), {
        code: '23502',
        detail: 'Failing row contains (SECRET)',
        command: { args: ['SECRET'] },
      });
    };
    for (const call of [...reads, ...writes]) {
      const error: SessionStoreError = await call(store).then(succeeded, (reason) => reason);
      expect(error.code).toBe('unavailable');
      expect(error.message).toMatch(/^Storage backend faulty is unavailable: \w+ failed$/);
      expect(error.cause).toMatchObject({ code: '23502' });
      const shown = [
        inspect(error, { depth: 9, showHidden: true }),
        JSON.stringify(error),
        String(error.cause),
        error.stack,
      ];
      expect(shown.join('\n')).not.toContain('SECRET');
    }
    await expect(store.disconnect()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('faults/start: a failed start is told by every call, applies nothing, and is tried again', async () => {
    const store = open();
    let starts = 0;
    fault = (method, call) => {
      if (method !== 'init') return call();
      starts += 1;
      return starts <= 2 ? Promise.reject(new Error('no route')) : call();
    };
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.create(session)).rejects.toMatchObject({ code: 'unavailable', outcome: 'not-applied' });
    await Promise.all([store.create(session), store.list('u'), store.listIds('u')]);
    expect(starts).toBe(3);
    await store.disconnect();
  });

  it('faults/start-outcome: a write that shares a failed start with reads was not applied, whatever failed', async () => {
    const store = open();
    for (const failed of [timedOut('faulty', 'init', 200), configError('of the start', new Error('why'))]) {
      fault = (method, call) => (method === 'init' ? Promise.reject(failed) : call());
      const { code, retryable } = failed;
      const message = expect.stringContaining(failed.message);
      for (const write of writes) {
        const [read, written] = await Promise.all(
          [store.get('u', 's'), write(store)].map((call) => call.then(succeeded, (reason) => reason)),
        );
        expect(read).toMatchObject({ code, message, retryable, outcome: undefined });
        expect(written).toMatchObject({ code, message, retryable, outcome: 'not-applied' });
        expect(written.cause).toBe(failed.cause);
      }
    }
    fault = undefined;
    await store.disconnect();
  });

  it('faults/refused-outcome: a write that stops at what it read was not applied', async () => {
    const store = open();
    await store.create(session);
    fault = (method, call) => (method === 'read' ? Promise.reject(configError('refused')) : call());
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'config', outcome: undefined });
    await expect(store.consumeOAuthState('u', 's', 'n')).rejects.toMatchObject({
      code: 'config',
      outcome: 'not-applied',
    });
    fault = undefined;
    await store.disconnect();
  });

  it('faults/refresh-answer-lost: a pair that was stored without our knowing is found there', async () => {
    const store = open({ operationTimeoutMs: 2_000 });
    await store.create({ ...session, tokens: pair(1) });
    let lost = 0;
    fault = async (method, call) => {
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
    const store = open({ operationTimeoutMs: 400 });
    await store.create({ ...session, tokens: pair(1) });
    const result = await store.refreshTokens('u', 's', async () => {
      fault = () => Promise.reject(unavailable('faulty', 'update'));
      return pair(2);
    });
    expect(result).toEqual({ tokens: pair(2), source: 'refreshed', stored: false });
    expect(reports.length).toBeGreaterThan(0);
    expect(reports[0]).toMatchObject({ code: 'unavailable', severity: 'error' });
    expect(inspect(reports, { depth: 9 })).not.toContain('SECRET');
    fault = undefined;
    expect((await store.getCredentials('u', 's'))?.tokens).toEqual(pair(1));
    await store.disconnect();
  });

  it('faults/refresh-not-encrypted: also when it is the key that cannot be had', async () => {
    let broken = false;
    const key = { kid: 'k', key: new Uint8Array(32).fill(3) };
    const store = open({
      encryption: {
        current: async () => {
          if (broken) throw new Error('vault sealed');
          return key;
        },
        byId: async () => key.key,
      },
    });
    await store.create({ ...session, tokens: pair(1) });
    const result = await store.refreshTokens('u', 's', async () => {
      broken = true;
      return pair(2);
    });
    expect(result).toEqual({ tokens: pair(2), source: 'refreshed', stored: false });
    expect(reports.map((report) => report.code)).toContain('encryption');
    broken = false;
    await store.disconnect();
  });

  it('faults/lock-out-of-reach: a holder that cannot extend its lock is told when it ends', async () => {
    const store = open();
    await store.create(session);
    const began = performance.now();
    const held = store.withLock(
      'u',
      's',
      async ({ signal }) => {
        fault = () => new Promise(() => {});
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        expect(signal.reason).toMatchObject({ code: 'lock_lost' });
      },
      { ttlMs: 600 },
    );
    await expect(held).rejects.toMatchObject({ code: 'lock_lost', message: 'The lock on session s was lost' });
    expect(performance.now() - began).toBeLessThan(1_500);
    fault = undefined;
    await store.disconnect();
  });

  it('faults/lock-comes-back: one failed extension is survived, and reported', async () => {
    const store = open();
    await store.create(session);
    let failures = 0;
    await store.withLock(
      'u',
      's',
      async ({ signal }) => {
        fault = (method, call) => {
          if (method !== 'acquireLease' || failures > 0) return call();
          failures += 1;
          return Promise.reject(new Error('reset'));
        };
        await new Promise((resolve) => setTimeout(resolve, 1_200));
        expect(signal.aborted).toBe(false);
      },
      { ttlMs: 600 },
    );
    expect(failures).toBe(1);
    expect(reports).toHaveLength(1);
    await store.disconnect();
  });

  it('faults/release: work that is done stays done when the lock cannot be given back', async () => {
    const store = open();
    await store.create(session);
    fault = (method, call) => (method === 'releaseLease' ? Promise.reject(new Error('reset')) : call());
    expect(await store.withLock('u', 's', async () => 'done')).toBe('done');
    expect(reports).toMatchObject([{ code: 'unavailable', severity: 'error' }]);
    await store.disconnect();
  });

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
      const store = open({ onError });
      await store.create(session);
      fault = (method, call) => (method === 'releaseLease' ? Promise.reject(new Error('reset')) : call());
      expect(await store.withLock('u', 's', async () => 'done')).toBe('done');
      fault = undefined;
      await store.disconnect();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(printed.mock.calls.join('\n')).toContain('the onError handler itself failed: of the handler');
    printed.mockRestore();
  });

  it('faults/no-key-in-production: a backend made by hand warns as well, once', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    vi.stubEnv('STORAGE_ENCRYPTION_KEY', undefined);
    const store = open({ encryption: undefined });
    await store.create(session);
    await store.list('u');
    expect(reports.map((report) => [report.severity, report.message])).toEqual([
      ['warning', 'No encryption key configured: credentials are stored in plain text'],
    ]);
    expect((await store.health()).warnings).toEqual([reports[0]?.message]);
    await store.disconnect();
  });
});
