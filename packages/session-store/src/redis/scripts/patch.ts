import { EXPIRE, REMEMBER, WRITE } from './common.ts';

/**
 * - `KEYS` record, index
 * - `ARGV` until, write, session id, kind, new status or '', expected version or '', `pendingMs`, `maxPendingMs`,
 *   `dormantMs`, how many bytes all fields may have or '', the bytes of those to set, how many of the following are names and
 *   values to set and how many are names to remove, then those, then the names of all other fields
 * - answers `ok` and the version, `large` and the bytes, `missing` or `conflict`
 */
export const PATCH: string = `${WRITE}${REMEMBER}${EXPIRE}
local old = redis.call('HMGET', KEYS[1], '_v', '_st', '_ps', 'createdAt', '_w')
local version = old[1]
if not version then return { 'missing', text(now) } end
local made = madeBy(old[5], ARGV[2])
if made then return { 'ok', text(now), made } end
if ARGV[6] ~= '' and ARGV[6] ~= version then return { 'conflict', text(now) } end

local lastSet = 13 + tonumber(ARGV[12])
local lastUnset = lastSet + tonumber(ARGV[13])
local function bytesOf(names)
  local bytes = 0
  if #names == 0 then return bytes end
  for _, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do bytes = bytes + #(value or '') end
  return bytes
end
if ARGV[10] ~= '' then
  local changed = { unpack(ARGV, lastSet + 1, lastUnset) }
  for at = 14, lastSet, 2 do changed[#changed + 1] = ARGV[at] end
  local bytes = tonumber(ARGV[11])
  -- What takes no more than what it replaces is let through without looking at the rest.
  if bytes > bytesOf(changed) then
    bytes = bytes + bytesOf({ unpack(ARGV, lastUnset + 1) })
    if bytes > tonumber(ARGV[10]) then return { 'large', text(now), text(bytes) } end
  end
end
if lastSet > 13 then redis.call('HSET', KEYS[1], unpack(ARGV, 14, lastSet)) end
if lastUnset > lastSet then redis.call('HDEL', KEYS[1], unpack(ARGV, lastSet + 1, lastUnset)) end
if ARGV[4] == 'rekey' then return { 'ok', text(now), version } end

if ARGV[4] == 'content' then
  version = text(redis.call('HINCRBY', KEYS[1], '_v', 1))
  redis.call('HSET', KEYS[1], '_w', remembering(old[5], ARGV[2], version))
end
local status = old[2]
if ARGV[5] ~= '' then status = ARGV[5] end
local deadline = now + tonumber(ARGV[9])
if status == 'pending' then
  local since = tonumber(old[3] or old[4])
  if old[2] ~= 'pending' then since = now end
  deadline = math.min(now + tonumber(ARGV[7]), since + tonumber(ARGV[8]))
  redis.call('HSET', KEYS[1], '_ps', text(since), '_pu', text(deadline))
end
redis.call('HSET', KEYS[1], '_st', status, '_u', text(now))
expireAt(deadline, ARGV[3])
return { 'ok', text(now), version }
`;
