import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEventId, parseEventId } from '../../src/delivery/event-id.ts';
import { randomId } from '../../src/delivery/text.ts';

describe('event ids', () => {
  it('event-id/round-trip: every position of this epoch comes back, in any other epoch it is foreign', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (position) => {
        const epoch = randomId(8);
        const id = formatEventId(epoch, position);
        expect(parseEventId(id, epoch)).toBe(position);
        expect(parseEventId(id, `${epoch}x`)).toBeUndefined();
        expect(/^[\x21-\x7e]+$/.test(id)).toBe(true);
      }),
    );
  });

  it('event-id/hostile: whatever a client sends, it is a safe position or none', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `e.${text}`),
        ),
        (text) => {
          const position = parseEventId(text, 'e');
          if (position !== undefined) expect(Number.isSafeInteger(position) && position >= 0).toBe(true);
        },
      ),
    );
  });

  it.each([
    '',
    '.',
    'e',
    'e.',
    '.1',
    'e.-1',
    'e.1.2',
    'e. 1',
    'E.1',
    'e.1\n',
    'e.A',
    'e.zzzzzzzzzzz',
    `e.${'1'.repeat(12)}`,
  ])('event-id/malformed: %j names nothing', (id) => {
    expect(parseEventId(id, 'e')).toBeUndefined();
  });
});
