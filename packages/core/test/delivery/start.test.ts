import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClaimAnswer, PreviousClaim } from '../../src/delivery/backplane.ts';
import { formatEventId } from '../../src/delivery/event-id.ts';
import { decideStart, earliestStart, startAfterDeath } from '../../src/delivery/start.ts';

const EPOCH = 'epoch1';
const id = (position: number): string => formatEventId(EPOCH, position);

function previous(fields: Partial<PreviousClaim> = {}): PreviousClaim {
  return {
    claim: 'old',
    node: 'other',
    at: 20,
    from: 15,
    detach: undefined,
    sent: undefined,
    cursor: undefined,
    ...fields,
  };
}

function answer(fields: Partial<ClaimAnswer> = {}): ClaimAnswer {
  return { session: 's', claim: 'new', at: 100, floor: 10, previous: undefined, ...fields };
}

const LOST = { kind: 'lost' };
const beyond = (position: number): unknown => ({ kind: 'after', position });
const released = previous({ detach: 60, sent: 50 });

describe('decideStart', () => {
  it.each<[string, ClaimAnswer, string | undefined, unknown]>([
    ['a first claim begins at itself', answer({ floor: 100 }), undefined, beyond(100)],
    ['a released session goes on where it was detached', answer({ previous: released }), undefined, beyond(60)],
    ['but never below its first claim', answer({ previous: released, floor: 70 }), undefined, beyond(70)],
    [
      'a held session waits for its release',
      answer({ previous: previous() }),
      undefined,
      { kind: 'wait', previous: previous() },
    ],
    ['its own claim, stored twice, is not waited for', answer({ claim: 'old', previous: previous() }), undefined, LOST],
    ['continuity that was lost is lost', answer({ previous: previous({ detach: -1, sent: -1 }) }), undefined, LOST],
    ['whatever event is named', answer({ previous: previous({ detach: -1, sent: -1 }) }), id(40), LOST],
    ['an event that is named is where it goes on', answer({ previous: previous() }), id(40), beyond(40)],
    ['and nobody is waited for then', answer({ previous: previous() }), id(99), beyond(99)],
    ['an event below the first claim: from that claim', answer({ previous: previous() }), id(5), beyond(10)],
    ['the claim itself can be named', answer({ previous: previous() }), id(100), beyond(100)],
    ['an event above the claim is not of this log', answer({ previous: previous() }), id(101), LOST],
    ['an event of another epoch', answer({ previous: previous() }), formatEventId('epoch2', 40), LOST],
    ['no event id at all', answer({ previous: previous() }), '17', LOST],
    ['an event of a session that nobody knows', answer({ floor: 100 }), id(40), LOST],
    ['the last event that was sent: nothing came until the detach', answer({ previous: released }), id(50), beyond(60)],
    ['one after it likewise', answer({ previous: released }), id(55), beyond(60)],
    ['one behind the detach', answer({ previous: released }), id(65), beyond(65)],
    ['one before the last that was sent', answer({ previous: released }), id(49), beyond(49)],
  ])('start/decide: %s', (_, given, lastEventId, expected) => {
    expect(decideStart(given, lastEventId, EPOCH)).toMatchObject(expected as object);
  });
});

describe('startAfterDeath', () => {
  it.each<[string, PreviousClaim, number | undefined, number, unknown]>([
    ['the cursor it wrote after its claim counts', previous(), 30, 10, beyond(30)],
    ['and at its claim', previous(), 20, 10, beyond(20)],
    ['below its claim the stream may not have begun: the lower of both', previous(), 19, 10, beyond(15)],
    ['whichever that is', previous(), 12, 10, beyond(12)],
    ['but not below the first claim', previous(), 3, 10, beyond(10)],
    ['nothing is known below its claim', previous({ from: undefined }), 19, 10, LOST],
    ['a node that is not known: what it had to begin with', previous(), undefined, 10, beyond(15)],
    ['a node that is not known, nor where it began', previous({ from: undefined }), undefined, 10, LOST],
    ['the cursor that the claim found stands in', previous({ cursor: 40 }), undefined, 10, beyond(40)],
  ])('start/death: %s', (_, given, cursor, floor, expected) => {
    expect(startAfterDeath(given, cursor, floor)).toMatchObject(expected as object);
  });
});

describe('earliestStart', () => {
  const position = fc.integer({ min: 0, max: 120 });
  const maybe = fc.option(position, { nil: undefined });
  const anyPrevious = fc
    .record({ at: position, from: maybe, detach: maybe, sent: maybe, cursor: maybe })
    .map((fields) => previous(fields));

  it('start/earliest: whatever becomes of the predecessor, a stream never starts below what its node holds back for it', () => {
    fc.assert(
      fc.property(
        fc.option(anyPrevious, { nil: undefined }),
        position,
        fc.option(position.map(id), { nil: undefined }),
        fc.nat(200),
        (previous, floor, lastEventId, later) => {
          const given = answer({ at: 120, floor, previous });
          const start = decideStart(given, lastEventId, EPOCH);
          const held = earliestStart(start, given);
          expect(held).toBeLessThanOrEqual(given.at);
          if (start.kind === 'after') expect(held).toBe(start.position);
          // Where nothing is known of a predecessor's beginning, no place can be held back either.
          if (start.kind !== 'wait' || start.previous.from === undefined) return;
          // A living predecessor writes a cursor that is not below what it wrote before, and releases at or above it.
          const written = Math.max(start.previous.cursor ?? 0, start.previous.at) + later;
          const died = startAfterDeath(
            start.previous,
            start.previous.cursor === undefined ? undefined : written,
            floor,
          );
          if (died.kind === 'after') expect(died.position).toBeGreaterThanOrEqual(held);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('start/never-below-floor: nothing older than the first claim is ever replayed', () => {
    fc.assert(
      fc.property(
        anyPrevious,
        position,
        maybe,
        fc.option(position.map(id), { nil: undefined }),
        (previous, floor, cursor, lastEventId) => {
          const start = decideStart(answer({ at: 120, floor, previous }), lastEventId, EPOCH);
          const decided = start.kind === 'wait' ? startAfterDeath(start.previous, cursor, floor) : start;
          if (decided.kind === 'after') expect(decided.position).toBeGreaterThanOrEqual(floor);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
