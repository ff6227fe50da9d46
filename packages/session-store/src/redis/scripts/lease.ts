import { WRITE } from './common.ts';

/**
 * - `KEYS` record, lease
 * - `ARGV` until, token, milliseconds
 * - answers `ok` and the version of the record, `missing` or `held`
 */
export const ACQUIRE_LEASE: string = `${WRITE}
local version = redis.call('HGET', KEYS[1], '_v')
if not version then return { 'missing', text(now) } end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return { 'held', text(now) } end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return { 'ok', text(now), version }
`;

/**
 * - `KEYS` lease
 * - `ARGV` until, token
 */
export const RELEASE_LEASE: string = `${WRITE}
if redis.call('GET', KEYS[1]) == ARGV[2] then redis.call('DEL', KEYS[1]) end
return { 'ok', text(now) }
`;
