import { configError } from '../session-errors.ts';

/**
 * The clock of a table: whole milliseconds, as they are stored. `performance.now()` counts fractions, with which a session
 * file would not be valid for its next reader.
 */
export function tableClock(now: () => number = Date.now): () => number {
  return () => {
    const ms = Math.floor(now());
    if (Number.isSafeInteger(ms)) return ms;
    throw configError('Option now must answer milliseconds since 1970');
  };
}
