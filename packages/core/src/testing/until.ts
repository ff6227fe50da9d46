/** How long anything that has to happen may take: long enough for a busy machine, never reached when all is well. */
const PATIENCE_MS = 10_000;

/**
 * Looks until a condition gives something truthy, and returns that.
 *
 * @param what completes the sentence "waited in vain for …"; a function is called at the deadline
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string | (() => string),
  patienceMs: number = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (performance.now() > deadline) {
      throw new Error(`waited ${patienceMs} ms in vain for ${typeof what === 'string' ? what : what()}`);
    }
    await pause(2);
  }
}

/** For pacing only: nothing may depend on how long it takes. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Microtasks and one macrotask: what was queued before has run. */
export function turn(): Promise<void> {
  return pause(0);
}
