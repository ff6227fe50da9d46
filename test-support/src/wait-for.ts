import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitForOptions {
  /** @default 10_000 */
  readonly timeoutMs?: number;
  /** Time between two looks. @default 10 */
  readonly intervalMs?: number;
  /** What was waited for; a function is called at the deadline, so that it can show the state reached. */
  readonly message?: string | (() => string);
}

/**
 * Looks until `condition` gives something truthy, and returns that. A condition that throws is not met yet.
 *
 * @throws at the deadline, with the condition's last error as `cause`.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 10, message = 'the condition' }: WaitForOptions = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  do {
    try {
      const result = await condition();
      if (result) return result;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await sleep(intervalMs);
  } while (performance.now() < deadline);
  const what = typeof message === 'function' ? message() : message;
  throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`, { cause: lastError });
}
