import { Script } from '../script.ts';
import { COMMON } from './common.ts';

/**
 * Scripts of the info store, see `RedisInfoStore` for the keys. All moments are microseconds of the server's clock.
 *
 * A session is a hash: `value:<field>` with `at:<field>`, when that was called; `uri:<hash>`, when that was subscribed
 * to; `ended`, when the session was last deleted: whatever was called before that changes nothing. When there is
 * nothing but `ended`, the session is unknown.
 */
const INFO = `${COMMON}
local function microseconds()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
`;

/** Needs the locals \`due\`, \`subscribers\` and \`uris\` (keys). */
const FORGET = `
local function unsubscribe(session, id, hash)
  redis.call('HDEL', session, 'uri:' .. hash)
  redis.call('ZREM', subscribers, hash .. ':' .. id)
  if redis.call('ZLEXCOUNT', subscribers, '[' .. hash .. ':', '(' .. hash .. ';') == 0 then
    redis.call('HDEL', uris, hash)
  end
end
-- What was called up to a moment. Answers how much is left.
local function forget(session, id, moment)
  local left = 0
  for _, key in ipairs(redis.call('HKEYS', session)) do
    local kind, name = string.match(key, '^(%a+):(.*)$')
    if kind == 'at' or kind == 'uri' then
      if tonumber(redis.call('HGET', session, key)) > moment then left = left + 1
      elseif kind == 'uri' then unsubscribe(session, id, name)
      else redis.call('HDEL', session, key, 'value:' .. name) end
    end
  end
  return left
end
`;

/**
 * What writes have in common. KEYS session due subscribers uris. ARGV session, age, the latest moment at which this may
 * have been sent, then what is their own. They answer {now, whether it was considered}: what was on its way for longer
 * than a second has to be sent again, so that a clock that was set does no harm.
 */
const CALL = `
local session, due, subscribers, uris = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, latest = ARGV[1], tonumber(ARGV[3])
${INFO}${FORGET}
local now = microseconds()
if now > latest + 1000000 then return {int(now), 0} end
local at = math.max(0, math.min(now, latest) - tonumber(ARGV[2]))
local ended = tonumber(redis.call('HGET', session, 'ended') or '-1')
local expires = tonumber(redis.call('ZSCORE', due, id) or '-1')
`;

/** What an expired session had said is void, though it may still be there. ARGV 4 extended time to live. */
const USE = `${CALL}
if at <= ended then return {int(now), 1} end
if expires >= 0 and expires <= now then forget(session, id, math.huge) end
local function use() redis.call('ZADD', due, int(now + tonumber(ARGV[4])), id) end
`;

/** ARGV 5 field, 6 JSON. */
export const writeInfo: Script = new Script(`${USE}
local before = redis.call('HGET', session, 'at:' .. ARGV[5])
if not before or tonumber(before) <= at then
  redis.call('HSET', session, 'at:' .. ARGV[5], int(at), 'value:' .. ARGV[5], ARGV[6])
end
use()
return {int(now), 1}
`);

/** ARGV 5 hash of the URI, 6 URI. */
export const subscribeInfo: Script = new Script(`${USE}
local text = redis.call('HGET', uris, ARGV[5])
if text and text ~= ARGV[6] then return redis.error_reply('ERR two URIs have the same hash') end
local before = tonumber(redis.call('HGET', session, 'uri:' .. ARGV[5]) or '-1')
redis.call('HSET', session, 'uri:' .. ARGV[5], int(math.max(at, before)))
redis.call('ZADD', subscribers, 0, ARGV[5] .. ':' .. id)
if not text then redis.call('HSET', uris, ARGV[5], ARGV[6]) end
use()
return {int(now), 1}
`);

/** ARGV 4 hash of the URI, 5 URI. */
export const unsubscribeInfo: Script = new Script(`${CALL}
local since = redis.call('HGET', session, 'uri:' .. ARGV[4])
if since and tonumber(since) <= at and redis.call('HGET', uris, ARGV[4]) == ARGV[5] then
  unsubscribe(session, id, ARGV[4])
  if redis.call('EXISTS', session) == 0 then redis.call('ZREM', due, id) end
end
return {int(now), 1}
`);

/**
 * ARGV 4 how long the deletion is remembered. It begins with a write that takes no memory: after that Redis lets a
 * script go on, so that sessions can be deleted when there is none left.
 */
export const deleteInfo: Script = new Script(`${CALL}
redis.call('ZREM', due, id)
local left = forget(session, id, at)
redis.call('HSET', session, 'ended', int(math.max(at, ended)))
redis.call('ZADD', due, left > 0 and int(expires) or int(now + tonumber(ARGV[4])), id)
return {int(now), 1}
`);

/**
 * KEYS session due. ARGV session, time to live, what a use extends it to: a little more, so that not every request has
 * to write. Answers {client capabilities, client info, log level, why the use could not be noted}, nil for nothing.
 */
export const readInfo: Script = new Script(`
local session, due, id = KEYS[1], KEYS[2], ARGV[1]
${INFO}
local now = microseconds()
local expires = tonumber(redis.call('ZSCORE', due, id) or '0')
if expires <= now then return {false, false, false, false} end
local row = redis.call('HMGET', session, 'value:clientCapabilities', 'value:clientInfo', 'value:logLevel', 'ended')
local refusal = false
if expires < now + tonumber(ARGV[2]) and redis.call('HLEN', session) > (row[4] and 1 or 0) then
  local answer = redis.pcall('ZADD', due, int(now + tonumber(ARGV[3])), id)
  refusal = type(answer) == 'table' and answer.err or false
  -- Out of memory, or of disk: reading goes on. Anything else means that this is not the place to read.
  if refusal and not string.find(refusal, 'OOM') and not string.find(refusal, 'MISCONF') then return answer end
end
return {row[1], row[2], row[3], refusal}
`);

/** KEYS due subscribers uris. ARGV hash of the URI, URI. Answers sessions. */
export const subscribersOf: Script = new Script(`
local due, subscribers, uris, hash = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
${INFO}
if redis.call('HGET', uris, hash) ~= ARGV[2] then return {} end
local now, found = microseconds(), {}
local members = redis.call('ZRANGEBYLEX', subscribers, '[' .. hash .. ':', '(' .. hash .. ';')
-- Lua takes no more than some thousand arguments.
for from = 1, #members, 1000 do
  local ids = {}
  for i = from, math.min(from + 999, #members) do ids[#ids + 1] = string.sub(members[i], #hash + 2) end
  for i, expires in ipairs(redis.call('ZMSCORE', due, unpack(ids))) do
    if expires and tonumber(expires) > now then found[#found + 1] = ids[i] end
  end
end
return found
`);

/** KEYS due. ARGV how many at most. Answers sessions that expired, and deletions that were remembered for long enough. */
export const expiredInfo: Script = new Script(`
${INFO}
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(microseconds()), 'LIMIT', 0, tonumber(ARGV[1]))
`);

/**
 * KEYS due subscribers uris, then sessions. ARGV how long deletions are remembered, then the same sessions. Removes
 * those that (still) are expired; one that was deleted not long ago is remembered as such. Answers how many it were.
 */
export const removeExpiredInfo: Script = new Script(`
local due, subscribers, uris = KEYS[1], KEYS[2], KEYS[3]
${INFO}${FORGET}
local now, remember, removed = microseconds(), tonumber(ARGV[1]), 0
for i = 2, #ARGV do
  local session, id = KEYS[i + 2], ARGV[i]
  local expires = redis.call('ZSCORE', due, id)
  if expires and tonumber(expires) <= now then
    redis.call('ZREM', due, id)
    forget(session, id, math.huge)
    local ended = tonumber(redis.call('HGET', session, 'ended') or '0')
    if ended + remember > now then redis.call('ZADD', due, int(ended + remember), id)
    else redis.call('DEL', session) end
    removed = removed + 1
  end
end
return removed
`);
