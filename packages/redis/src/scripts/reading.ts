import { Script } from '../script.ts';

/**
 * Parts after a position: about a mebibyte, at least one. KEYS head log. ARGV position.
 * Answers {epoch, trimmed, entries as XRANGE gives them}.
 */
export const read: Script = new Script(`
local h = redis.call('HMGET', KEYS[1], 'epoch', 'trimmed')
local found, bytes, from, entries, asked = {}, 0, '(' .. ARGV[1] .. '-0', nil, 1
repeat
  entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', asked)
  if #entries < asked then asked = 0 end
  for _, entry in ipairs(entries) do
    if bytes >= 1048576 then break end
    found[#found + 1] = entry
    bytes = bytes + #entry[2][8]
    from = '(' .. entry[1]
  end
  -- As many as fill the rest, if they are as large as those before: what is read in vain is copied all the same. Never
  -- more than some mebibytes of it: behind thousands of small ones large ones may come.
  local fitting = math.ceil((1048576 - bytes) / math.max(bytes / math.max(#found, 1), 16))
  asked = math.min(asked * 4, fitting, 32)
until asked < 1
return {h[1] or '', h[2] or '0', found}
`);

/** KEYS large large-times. ARGV id, payload, bytes. Repeatable. */
export const putLarge: Script = new Script(`
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)),
  ARGV[1] .. ' ' .. ARGV[3])
`);

/**
 * KEYS large. ARGV id. Answers the payload. A script, as everything else: drivers may send commands that only read to
 * replicas, which have it later.
 */
export const getLarge: Script = new Script(`
return redis.call('HGET', KEYS[1], ARGV[1])
`);
