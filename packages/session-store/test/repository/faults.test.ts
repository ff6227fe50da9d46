import { inspect } from 'node:util';
import type { SessionStore, SessionStoreError } from '@tmcp/session-store';
import { describe, expect, it } from 'vitest';
import { configError, timedOut } from '../../src/session-errors.ts';
import { FaultyStore, session } from './faults-harness.ts';

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

describe('a backend in trouble', () => {
  it('faults/hangs: every call settles in time, and a write says that nobody knows', async () => {
    const faulty = new FaultyStore({ operationTimeoutMs: 200 });
    const { store } = faulty;
    await store.create(session);
    faulty.fault = () => new Promise(() => {});
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
    faulty.fault = undefined;
    expect(await store.health()).toMatchObject({ ok: true });
    expect((await store.get('u', 's'))?.sessionId).toBe('s');
    await store.disconnect();
  });

  it('faults/raw-errors: what a driver throws becomes ours, without what it quotes', async () => {
    const faulty = new FaultyStore();
    const { store } = faulty;
    await store.create(session);
    faulty.fault = () => {
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
    const faulty = new FaultyStore();
    const { store } = faulty;
    let starts = 0;
    faulty.fault = (method, call) => {
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
    const faulty = new FaultyStore();
    const { store } = faulty;
    for (const failed of [timedOut('faulty', 'init', 200), configError('of the start', new Error('why'))]) {
      faulty.fault = (method, call) => (method === 'init' ? Promise.reject(failed) : call());
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
    faulty.fault = undefined;
    await store.disconnect();
  });

  it('faults/refused-outcome: a write that stops at what it read was not applied', async () => {
    const faulty = new FaultyStore();
    const { store } = faulty;
    await store.create(session);
    faulty.fault = (method, call) => (method === 'read' ? Promise.reject(configError('refused')) : call());
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'config', outcome: undefined });
    await expect(store.consumeOAuthState('u', 's', 'n')).rejects.toMatchObject({
      code: 'config',
      outcome: 'not-applied',
    });
    faulty.fault = undefined;
    await store.disconnect();
  });
});
