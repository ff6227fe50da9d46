import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartDraft } from '../../src/delivery/backplane.ts';
import { encodeBatch, encodeEntry, type Outgoing } from '../../src/delivery/batch.ts';
import { decodePart, type Item, isPayload } from '../../src/delivery/entries.ts';
import { payloadsFor } from '../../src/delivery/payload-index.ts';
import { utf8Length } from '../../src/delivery/text.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.toWellFormed().replaceAll('\0', '')),
  fc.constantFrom('', 'é', '😀', '\u2028', '"\\', 'a'.repeat(70)),
);
const session = fc.oneof(fc.string({ minLength: 1, maxLength: 8 }), fc.constantFrom('"', '\\', '[0,', 'é', '😀'));
const operation: fc.Arbitrary<Outgoing> = fc.oneof(
  fc
    .record({
      to: fc.oneof(fc.constantFrom(0 as const, 1 as const), session, fc.array(session, { minLength: 2, maxLength: 4 })),
      payload: text,
    })
    .map(({ to, payload }) => ({ to, payload, payloadBytes: utf8Length(payload) })),
  fc.record({ k: fc.constant('c' as const), s: session, c: fc.string(), n: fc.string() }),
  fc.record({ k: fc.constant('r' as const), s: session, c: fc.string(), d: fc.nat(), p: fc.nat() }),
  fc.record({ k: fc.constant('e' as const), s: session }),
);

/** What a reader makes of the parts, as `LogReader` does it. */
function read(parts: readonly PartDraft[]): { item: Item; text: string | undefined; position: number }[] {
  let last = 0;
  return parts.flatMap((draft) => {
    last += draft.count;
    const { base, items, data } = decodePart({ ...draft, epoch: 'e', last, token: 't' });
    let offset = 0;
    return items.map((item, index) => {
      const start = offset;
      if (isPayload(item)) offset += item[1];
      return { item, position: base + index + 1, text: isPayload(item) ? data.slice(start, offset) : undefined };
    });
  });
}

describe('batches', () => {
  it('batch/round-trip: what goes in comes out, in order, and parts are as large as they say and allowed', () => {
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 30 }),
        fc.integer({ min: 20, max: 300 }),
        (operations, partBytes) => {
          const { parts, controls } = encodeBatch(
            operations.map((each) => encodeEntry(each, undefined)),
            partBytes,
          );
          const entries = read(parts);
          expect(entries.map(({ position }) => position)).toEqual(operations.map((_, index) => index + 1));
          for (const [index, each] of operations.entries()) {
            const { item, text } = entries[index] ?? {};
            if ('payload' in each) {
              expect(item).toEqual([each.to, each.payload.length]);
              expect(text).toBe(each.payload);
            } else {
              expect(item).toEqual(each);
            }
          }
          for (const { head, data, bytes, count } of parts) {
            expect(utf8Length(head) + utf8Length(data)).toBe(bytes);
            if (count > 1) expect(bytes).toBeLessThanOrEqual(partBytes);
          }
          // The store finds each control operation by its offset.
          expect(controls.map(({ offset, kind, session }) => [offset, kind[0], session])).toEqual(
            operations.flatMap((each, index) =>
              'k' in each ? [[index + 1, each.k === 'e' ? 'e' : each.k, each.s]] : [],
            ),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each(['a', 'é', '€', '😀'])(
    'batch/limit: parts of exactly the limit stay whole, with %s at the edge',
    (letter) => {
      const two = (payload: string): readonly PartDraft[] => {
        const one = encodeEntry({ to: 's', payload: 'x', payloadBytes: 1 }, undefined);
        return encodeBatch([one, encodeEntry({ to: 's', payload, payloadBytes: utf8Length(payload) }, undefined)], 100)
          .parts;
      };
      for (let length = 1; length < 100; length += 1) {
        const payload = 'x'.repeat(length) + letter;
        const bytes = utf8Length(`[["s",1],["s",${payload.length}]]x${payload}`);
        expect(two(payload).length, `${bytes} bytes`).toBe(bytes <= 100 ? 1 : 2);
      }
    },
  );

  it('batch/single: an operation that is larger alone is a part of its own', () => {
    const entry = (length: number) =>
      encodeEntry({ to: 's', payload: 'x'.repeat(length), payloadBytes: length }, undefined);
    const { parts } = encodeBatch([entry(1), entry(500), entry(1)], 100);
    expect(parts.map(({ count }) => count)).toEqual([1, 1, 1]);
  });

  it('batch/large: a payload that is stored beside the log leaves its size and id in the head, nothing in the data', () => {
    const entry = encodeEntry({ to: 0, payload: 'payload', payloadBytes: 7 }, 'large-id');
    const { parts } = encodeBatch([entry, encodeEntry({ to: 0, payload: 'next', payloadBytes: 4 }, undefined)], 1_000);
    expect(parts).toMatchObject([{ head: '[[0,0,["large-id",7]],[0,4]]', data: 'next' }]);
    expect(read(parts).map(({ text }) => text)).toEqual(['', 'next']);
  });
});

describe('entries', () => {
  it('entries/addressed: a payload is for those it names, in order, and ids that are part of others never meet', () => {
    const items: Item[] = [
      ['one', 1],
      [0, 1],
      [1, 1],
      { k: 'e', s: 'one' },
      [['on', 'one'], 1],
      ['on', 0, ['large', 9]],
    ];
    const part = decodePart({ epoch: 'e', last: 16, count: 6, token: 't', head: JSON.stringify(items), data: 'abcd' });
    const found = (session: string): [number, number][] =>
      payloadsFor(part, session).map(({ position, offset }) => [position, offset]);
    expect(found('one')).toEqual([
      [11, 0],
      [12, 1],
      [15, 3],
    ]);
    expect(found('on')).toEqual([
      [12, 1],
      [15, 3],
      [16, 4],
    ]);
    expect(found('o')).toEqual([[12, 1]]);
    expect(found('0')).toEqual([[12, 1]]);
    expect(found('__proto__')).toEqual([[12, 1]]);
  });

  it.each(['', '{}', '[[0,1]', '[[0,1],[0,1]]'])(
    'entries/unreadable: a head %j that does not name one operation is refused',
    (head) => {
      expect(() => decodePart({ epoch: 'e', last: 1, count: 1, token: 't', head, data: 'x' })).toThrow();
    },
  );
});
