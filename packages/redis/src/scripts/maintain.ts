import { Script } from '../script.ts';
import { COMMON, IN_FULL_MEMORY, ROWS } from './common.ts';

/**
 * Trims the log and removes what expired, in bounded steps.
 *
 * KEYS head log producers answers claims nodes times large large-times.
 * ARGV session timeout, age of forgotten claims, age of trimmed entries, maxLogBytes, age of producers, the
 * time up to which ages count, then node and beat of each node that is given up. Answers {[node, beat] of silent nodes, count of overtaken nodes}.
 */
export const maintain: Script = new Script(`
local head, log, producers, answers, claims, nodes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local times, large, large_times = KEYS[7], KEYS[8], KEYS[9]
${COMMON}${IN_FULL_MEMORY}
local h = redis.call('HMGET', head, 'epoch', 'pos', 'trimmed', 'announced', 'sweep', 'round', 'max', 'bytes', 'cut')
local epoch = h[1]
if not epoch then return {{}, 0} end
local now, as_of = milliseconds(), tonumber(ARGV[6])
local timeout, forget_age, keep, producer_age = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local pos, trimmed, round = tonumber(h[2]), tonumber(h[3]), tonumber(h[6] or '0')
if h[7] ~= ARGV[4] then redis.call('HSET', head, 'max', ARGV[4]) end
${ROWS}
-- Given up, unless it has beaten since: its claims are lost from now on, see as_it_counts.
for i = 7, #ARGV, 2 do
  local row = node_row(ARGV[i])
  if row and not row.gone and row.beats .. ' ' .. int(row.beat) == ARGV[i + 1] then
    redis.call('HSET', nodes, ARGV[i], 'gone ' .. int(round))
  end
end

local silent, known, lowest = {}, {}, pos
local rows = redis.call('HGETALL', nodes)
for i = 1, #rows, 2 do
  local row = node_row(rows[i])
  if row.gone then
    -- Two whole rounds of the sweep have released its claims.
    if tonumber(string.match(rows[i + 1], '%d+')) + 2 <= round then redis.call('HDEL', nodes, rows[i]) end
  else
    known[rows[i]] = tonumber(row.cursor)
    lowest = math.min(lowest, tonumber(row.cursor))
    if as_of - row.beat > timeout then silent[#silent + 1] = {rows[i], row.beats .. ' ' .. int(row.beat)} end
  end
end

-- By age: what the head had passed so long ago, but the part that ends at a cursor stays, and the newest one.
redis.call('ZADD', times, 'NX', int(now), h[2])
local aged = redis.call('ZREVRANGEBYSCORE', times, int(as_of - keep), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if aged[1] then
  redis.call('ZREMRANGEBYSCORE', times, '-inf', '(' .. aged[2])
  local most = math.min(tonumber(aged[1]), lowest - 1, pos - 1)
  if most > trimmed then
    local entry = redis.call('XREVRANGE', log, int(most) .. '-0', '-', 'COUNT', 1)[1]
    if entry then
      trimmed = tonumber(string.match(entry[1], '^%d+'))
      redis.call('XTRIM', log, 'MINID', int(trimmed + 1) .. '-0')
      redis.call('HSET', head, 'trimmed', int(trimmed))
    end
  end
end

-- For its size it is trimmed as it grows, whoever has read it; here, in steps, when it grew under another limit.
local bytes, cut, max, upto = tonumber(h[8] or '0'), tonumber(h[9] or '0'), tonumber(ARGV[4]), nil
if bytes - cut > max then
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 200)) do
    local at = string.match(entry[1], '^%d+')
    if bytes - cut <= max or at == h[2] then break end
    cut, upto = cut + #entry[2][8], at
  end
end
if upto then
  trimmed = tonumber(upto)
  redis.call('XTRIM', log, 'MINID', int(trimmed + 1) .. '-0')
  redis.call('HSET', head, 'trimmed', upto, 'cut', int(cut))
end
local announced, overtaken = tonumber(h[4] or h[3]), 0
for _, cursor in pairs(known) do
  if cursor >= announced and cursor < trimmed then overtaken = overtaken + 1 end
end
redis.call('HSET', head, 'announced', int(trimmed))

-- Large payloads have the same bounds, and the newest stays.
local payloads = redis.call('ZRANGE', large_times, 0, -1, 'WITHSCORES')
local total = 0
for i = 1, #payloads, 2 do total = total + tonumber(string.match(payloads[i], ' (%d+)$')) end
for i = 1, math.min(#payloads, 400), 2 do
  local id, bytes = string.match(payloads[i], '^(.*) (%d+)$')
  local is_last = i + 2 > #payloads
  if as_of - tonumber(payloads[i + 1]) <= keep and (total <= tonumber(ARGV[4]) or is_last) then break end
  redis.call('HDEL', large, id)
  redis.call('ZREM', large_times, payloads[i])
  total = total - tonumber(bytes)
end

-- A producer that is idle may still come back with its last batch, as long as its node lives.
local batches = redis.call('HGETALL', producers)
for i = 1, #batches, 2 do
  local used, node = string.match(batches[i + 1], '^%d+ %d+ %d (%d+) (.*)$')
  if as_of - tonumber(used) > producer_age and not known[node] then
    redis.call('HDEL', producers, batches[i])
    redis.call('HDEL', answers, batches[i])
  end
end

-- A slice of the claims: what counts as released is written down, what was released long ago is forgotten.
local scan = redis.call('HSCAN', claims, h[5] or '0', 'COUNT', 200)
for i = 1, #scan[2], 2 do
  local session, text = scan[2][i], scan[2][i + 1]
  local c = session ~= '' and as_it_counts(text)
  if c and c[DETACH] ~= '' then
    if c[EPOCH] ~= epoch or cjson.decode(text)[DETACH] == '' then
      c[CHANGED], c[EPOCH] = int(now), epoch
      redis.call('HSET', claims, session, cjson.encode(c))
    elseif as_of - tonumber(c[CHANGED]) > forget_age then
      redis.call('HDEL', claims, session)
    end
  end
end
redis.call('HSET', head, 'sweep', scan[1], 'round', int(scan[1] == '0' and round + 1 or round))
return {silent, overtaken}
`);
