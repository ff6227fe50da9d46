import { WRITE } from './common.ts';

/**
 * - `KEYS` record, index, lease
 * - `ARGV` until, write (not used), session id, expected version or ''
 * - answers `ok`, `missing` or `conflict`
 */
export const REMOVE: string = `${WRITE}
local version = redis.call('HGET', KEYS[1], '_v')
if version and ARGV[4] ~= '' and ARGV[4] ~= version then return { 'conflict', text(now) } end
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('UNLINK', KEYS[1], KEYS[3])
return { version and 'ok' or 'missing', text(now) }
`;
