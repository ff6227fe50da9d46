import { type ClaimAnswer, LOST, type PreviousClaim } from './backplane.ts';
import { parseEventId } from './event-id.ts';

/** Where a new stream of a session begins. */
export type Start =
  /**
   * Everything above this position belongs to it; an event id not below `sent` misses nothing up to there. With `LOST`
   * for `sent` its client has still to be told that something may be missing before.
   */
  | { readonly kind: 'after'; readonly position: number; readonly sent?: number | undefined }
  /** That depends on where the previous stream ends, which its node has not written yet. */
  | { readonly kind: 'wait'; readonly previous: PreviousClaim }
  /** That is not known any more: it goes live at its claim, and says so. */
  | { readonly kind: 'lost' };

/**
 * Decides from what the claim found. A stream never starts below the session's first claim (`floor`), and never
 * guesses: starting too late loses messages, starting too early repeats them.
 */
export function decideStart(answer: ClaimAnswer, lastEventId: string | undefined, epoch: string): Start {
  const { at, floor, previous } = answer;
  if (previous?.detach === LOST) return { kind: 'lost' };
  if (lastEventId !== undefined) {
    const named = parseEventId(lastEventId, epoch);
    // Without a previous claim the session is new, was ended, or was away for longer than its claim is kept.
    if (named === undefined || named > at || !previous) return { kind: 'lost' };
    if (previous.sent === LOST) {
      // Who names an event from there on has read the hints, which stand before it.
      const { detach = floor } = previous;
      return { kind: 'after', position: Math.max(named, detach, floor), sent: named < detach ? LOST : undefined };
    }
    // A quiet session: its last frame is old, perhaps older than the log, but nothing came after it until `detach`.
    if (previous.detach !== undefined && named >= (previous.sent ?? Number.POSITIVE_INFINITY)) {
      return { kind: 'after', position: Math.max(named, previous.detach, floor), sent: previous.sent };
    }
    return { kind: 'after', position: Math.max(named, floor) };
  }
  if (!previous) return { kind: 'after', position: at };
  if (previous.detach !== undefined) {
    return { kind: 'after', position: Math.max(previous.detach, floor), sent: previous.sent };
  }
  // Its own claim, stored twice because this node was forgotten meanwhile: nobody will release that one.
  if (previous.claim === answer.claim) return { kind: 'lost' };
  return { kind: 'wait', previous };
}

/**
 * Where a stream starts whose predecessor's node died without a word. Its node wrote a cursor at or above its claim
 * only when that stream's own progress was included in it; below that, the stream may not have begun, and what it
 * had to begin with (`from`) counts.
 *
 * @param cursor the cursor that the dead node wrote last
 */
export function startAfterDeath(previous: PreviousClaim, cursor: number | undefined, floor: number): Start {
  const written = cursor ?? previous.cursor;
  if (written === undefined) {
    return previous.from === undefined ? { kind: 'lost' } : { kind: 'after', position: Math.max(previous.from, floor) };
  }
  if (written >= previous.at) return { kind: 'after', position: Math.max(written, floor) };
  if (previous.from === undefined) return { kind: 'lost' };
  return { kind: 'after', position: Math.max(Math.min(written, previous.from), floor) };
}

/**
 * The lowest position that a stream may still have to start from: this is what its node's written cursor must not
 * pass before the stream has begun.
 */
export function earliestStart(start: Start, answer: ClaimAnswer): number {
  if (start.kind === 'after') return start.position;
  const previous = start.kind === 'wait' ? start.previous : undefined;
  if (!previous) return answer.at;
  const after = startAfterDeath(previous, undefined, answer.floor);
  return after.kind === 'after' ? after.position : answer.at;
}
