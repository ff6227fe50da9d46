import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { backOffMs, elapsedMs, NEVER, now } from '../../src/delivery/clock.ts';

afterEach(() => vi.restoreAllMocks());

describe('the clock', () => {
  it('clock/back-off: lies between half of the step and the whole, doubles, and never exceeds the most', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 60_000 }),
        (attempt, first, most) => {
          const ms = backOffMs(attempt, first, most);
          const step = Math.min(most, first * 2 ** Math.min(attempt, 20));
          expect(ms).toBeGreaterThanOrEqual(step / 2);
          expect(ms).toBeLessThanOrEqual(step);
          expect(Number.isFinite(ms)).toBe(true);
        },
      ),
    );
  });

  it('clock/elapsed: time has passed when either clock says so', () => {
    const monotonic = vi.spyOn(performance, 'now').mockReturnValue(1_000);
    const wall = vi.spyOn(Date, 'now').mockReturnValue(500_000);
    const since = now();
    expect(elapsedMs(since)).toBe(0);
    monotonic.mockReturnValue(1_400);
    expect(elapsedMs(since)).toBe(400);
    // The machine slept: the monotonic clock stood still.
    wall.mockReturnValue(560_000);
    expect(elapsedMs(since)).toBe(60_000);
    // Somebody set the clock back.
    wall.mockReturnValue(1);
    expect(elapsedMs(since)).toBe(400);
    expect(elapsedMs(NEVER)).toBe(Number.POSITIVE_INFINITY);
  });
});
