import { CLOCK, WRITE } from './common.ts';

/**
 * - `KEYS` index
 * - answers the ids of the sessions whose deadline is to come
 */
export const LIVE_IDS: string = `${CLOCK}
return { 'ok', text(now), redis.call('ZRANGEBYSCORE', KEYS[1], text(now), '+inf') }
`;

/**
 * Takes ids out of the index whose record is gone, as after an eviction; it looks again, for they may be back.
 *
 * - `KEYS` index, then the records of the ids
 * - `ARGV` until, write (not used), ids
 */
export const PRUNE: string = `${WRITE}
for position = 3, #ARGV do
  if redis.call('EXISTS', KEYS[position - 1]) == 0 then redis.call('ZREM', KEYS[1], ARGV[position]) end
end
return { 'ok', text(now) }
`;
