import type { Counts } from './request-counter.ts';

/**
 * Statements, and round trips: each ends with a Sync, or is a simple query. Counts are exact while requests are small,
 * for a message that is cut in two by the network is not put together again.
 */
export function countPostgres(chunk: Buffer, counts: Counts): void {
  // A start-up message begins with its length, every other one with a letter.
  for (let at = 0; at + 5 <= chunk.length && chunk[at] !== 0; at += 1 + chunk.readInt32BE(at + 1)) {
    const letter = String.fromCharCode(chunk[at] ?? 0);
    if (letter === 'Q' || letter === 'E') counts.statements += 1;
    if (letter === 'Q' || letter === 'S') counts.roundTrips += 1;
  }
}
