/**
 * A moment of this process. Both clocks are kept: the monotonic one stops while a machine sleeps, the other jumps
 * when it is set. Time has passed when either says so, which for every use here errs on the safe side.
 */
export type Moment = { readonly monotonic: number; readonly wall: number };

export function now(): Moment {
  return { monotonic: performance.now(), wall: Date.now() };
}

/** Milliseconds since a moment. */
export function elapsedMs(since: Moment): number {
  return Math.max(performance.now() - since.monotonic, Date.now() - since.wall);
}

/** A moment that lies before every other. */
export const NEVER: Moment = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };

/** Node's timers can be told not to hold the process open; those of Workers are plain numbers. */
function unref<T>(timer: T): T {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}

export type Timer = ReturnType<typeof setTimeout>;

/** `setTimeout` that never holds a process open. */
export function after(ms: number, run: () => void): Timer {
  return unref(setTimeout(run, ms));
}

/**
 * `setTimeout` for the deadline of a call that somebody waits for. It holds the process open that long: between two
 * tries nothing else might, and a process that ended there would never tell its caller.
 */
export function atDeadline(ms: number, run: () => void): Timer {
  return setTimeout(run, ms);
}

/** `setInterval` that never holds a process open. */
export function every(ms: number, run: () => void): Timer {
  return unref(setInterval(run, ms)) as unknown as Timer;
}

/** The same pause for a call that somebody waits for, like `atDeadline`. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => atDeadline(ms, resolve));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => after(ms, resolve));
}

/** Back-off with jitter: between half of it and all of it. */
export function backOffMs(attempt: number, firstMs: number, mostMs: number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 20)) * (0.5 + Math.random() / 2);
}
