import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { SessionError } from './errors.ts';
import { createConsoleErrorHandler, guardErrorHandler } from './on-error.ts';

let console_: MockInstance<typeof console.error>;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  console_ = vi.spyOn(console, 'error').mockReturnValue();
});
afterEach(() => {
  vi.useRealTimers();
  console_.mockRestore();
});

describe('the default onError', () => {
  it('prints one line per code in ten seconds, and says how many were left out', () => {
    const onError = createConsoleErrorHandler();
    for (let i = 0; i < 5; i += 1) onError(new SessionError('unavailable', `try ${i}`));
    onError(new SessionError('timeout', 'slow'));
    expect(console_.mock.calls).toEqual([['[tmcp sessions] unavailable: try 0'], ['[tmcp sessions] timeout: slow']]);
    vi.advanceTimersByTime(10_000);
    onError(new SessionError('unavailable', 'again'));
    expect(console_.mock.lastCall).toEqual([
      '[tmcp sessions] unavailable: again (4 more with this code were not shown)',
    ]);
  });

  it('shows the first line of the cause, without credentials and without its properties', () => {
    const cause = Object.assign(new Error('no host postgres://me:secret@db/x\nsecond line'), {
      code: 'ENOTFOUND',
      detail: 'payload',
    });
    createConsoleErrorHandler()(new SessionError('unavailable', 'down', { cause }));
    expect(console_.mock.lastCall).toEqual([
      '[tmcp sessions] unavailable: down [ENOTFOUND no host postgres://***@db/x]',
    ]);
  });
});

describe('guardErrorHandler', () => {
  it('survives a handler that throws, and says so', () => {
    const onError = guardErrorHandler(() => {
      throw new Error('user bug');
    });
    onError(new SessionError('closed', 'x'));
    expect(console_.mock.lastCall?.[0]).toContain('callback-failed');
  });

  it('survives a handler whose promise rejects', async () => {
    const onError = guardErrorHandler((async () => {
      throw new Error('user bug');
    }) as () => void);
    vi.advanceTimersByTime(60_000);
    onError(new SessionError('closed', 'x'));
    await vi.waitFor(() => expect(console_.mock.lastCall?.[0]).toContain('callback-failed'));
  });

  it('hands the error to the handler as it is', () => {
    const handler = vi.fn();
    const error = new SessionError('closed', 'x');
    guardErrorHandler(handler)(error);
    expect(handler).toHaveBeenCalledExactlyOnceWith(error);
  });
});
