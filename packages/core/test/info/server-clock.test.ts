import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServerClock } from '../../src/info/server-clock.ts';

describe('what the clock of a server shows', () => {
  it('server-clock/unknown: before the first answer nothing is known', () => {
    expect(new ServerClock().latest(1_000_000)).toBe(0);
  });

  it('server-clock/bound: it never shows more than is said, and about as much once an answer was quick', () => {
    const exchange = fc.record({
      pause: fc.integer({ min: 0, max: 60_000_000 }),
      there: fc.integer({ min: 1, max: 3_000_000 }),
      back: fc.integer({ min: 1, max: 3_000_000 }),
    });
    fc.assert(
      fc.property(
        fc.array(exchange, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 2_000_000_000 }),
        fc.double({ min: -0.0001, max: 0.0001, noNaN: true }),
        (exchanges, ahead, drift) => {
          const server = (at: number): number => Math.floor(ahead + at * (1 + drift));
          const clock = new ServerClock();
          let at = 0;
          for (const { pause, there, back } of exchanges) {
            at += pause;
            if (clock.latest(at) > 0) expect(clock.latest(at)).toBeGreaterThanOrEqual(server(at) - 1);
            clock.learn(server(at + there), at, at + there + back);
            // As far off as the way there of this answer, or of a better one.
            expect(clock.latest(at)).toBeLessThanOrEqual(server(at + there) + 1);
            at += there + back;
          }
        },
      ),
    );
  });

  it('server-clock/set: an answer that cannot be true of the old clock begins a new one', () => {
    const clock = new ServerClock();
    clock.learn(5_000_000, 1_000_000, 1_000_200);
    clock.learn(90_000_000, 2_000_000, 2_000_200);
    expect(clock.latest(2_000_000)).toBe(90_000_000);
    clock.learn(3_000_000, 3_000_000, 3_000_200);
    expect(clock.latest(3_000_000)).toBe(3_000_000);
  });
});
