import { EXPIRE, REMEMBER, WRITE } from './common.ts';

/**
 * - `KEYS` record, index, lease
 * - `ARGV` until, write, session id, status, createdAt, updatedAt or '', milliseconds that it may be pending,
 *   milliseconds that it may be dormant, then names and values of fields
 * - answers `ok` or `exists`
 *
 * The version is the time in microseconds: a record that is removed and created again in the same millisecond, after
 * some changes, must not meet a version of the first.
 */
export const INSERT: string = `${WRITE}${REMEMBER}${EXPIRE}
local known = redis.call('HMGET', KEYS[1], '_v', '_w')
if known[1] then
  return { madeBy(known[2], ARGV[2]) and 'ok' or 'exists', text(now) }
end
local created = math.min(tonumber(ARGV[5]), now)
local updated = now
if ARGV[6] ~= '' then updated = math.min(tonumber(ARGV[6]), now) end
local pendingUntil = created + tonumber(ARGV[7])
local deadline = pendingUntil
if ARGV[4] == 'active' then deadline = updated + tonumber(ARGV[8]) end
if deadline <= now then return { 'ok', text(now) } end
local version = text(time[1] * 1000000 + time[2])
redis.call('HSET', KEYS[1], '_v', version, '_st', ARGV[4], 'createdAt', text(created), '_u', text(updated),
  '_pu', text(pendingUntil), '_w', remembering('', ARGV[2], version), unpack(ARGV, 9))
if ARGV[4] ~= 'active' then redis.call('HSET', KEYS[1], '_ps', text(created)) end
redis.call('DEL', KEYS[3])
expireAt(deadline, ARGV[3])
return { 'ok', text(now) }
`;
