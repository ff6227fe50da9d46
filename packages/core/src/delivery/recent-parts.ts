import type { Part } from './backplane.ts';
import { decodePart, type Entries } from './entries.ts';

/**
 * The newest parts of the log that this node has read, for streams that start a little behind the cursor: the usual
 * case, since a claim is read at about the time its `create` is answered. It saves one search of the log per stream.
 *
 * They are kept as they were read and parsed when they are asked for: many small objects that live a while are what a
 * garbage collector is slow with.
 */
export class RecentParts {
  readonly #maxLength: number;
  #parts: Kept[] = [];
  #length = 0;

  /** @param maxLength UTF-16 units of heads, items and data that are kept */
  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  push(part: Part): void {
    this.#parts.push({ part, entries: undefined });
    this.#length += lengthOf(part);
    if (this.#length > this.#maxLength * 2) this.#shrink();
  }

  clear(): void {
    this.#parts = [];
    this.#length = 0;
  }

  /** Every part that holds positions above `position`, if all of them are here. */
  after(position: number): readonly Entries[] | undefined {
    const parts = this.#parts;
    const first = parts[0];
    if (!first || first.part.last - first.part.count > position) return undefined;
    let low = 0;
    let high = parts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // biome-ignore lint/style/noNonNullAssertion: `middle` is within the array
      if (parts[middle]!.part.last > position) high = middle;
      else low = middle + 1;
    }
    return parts.slice(low).map(entriesOf);
  }

  /** Drops the older half at once: shifting one by one would move the array for every part. */
  #shrink(): void {
    let drop = 0;
    for (const { part } of this.#parts) {
      if (this.#length <= this.#maxLength) break;
      this.#length -= lengthOf(part);
      drop += 1;
    }
    this.#parts = this.#parts.slice(drop);
  }
}

type Kept = { readonly part: Part; entries: Entries | undefined };

function entriesOf(kept: Kept): Entries {
  kept.entries ??= decodePart(kept.part);
  return kept.entries;
}

/** What a parsed item takes in memory beside its text, more or less: a claim is an object with three texts. */
const ITEM_LENGTH = 128;

/** The head counts as well: a message to many sessions names them all there. */
function lengthOf({ count, head, data }: Part): number {
  return head.length + data.length + count * ITEM_LENGTH;
}
