import { Script } from '../script.ts';
import { COMMON, ROWS } from './common.ts';

/**
 * One batch: positions, storage, claims.
 *
 * KEYS head log producers answers claims nodes marks.
 * ARGV epoch node producer number acknowledged, count of parts, count of controls, default of maxLogBytes, '1' when
 * replicas confirm it; per part: operations, body; per control: kind offset session claim detach sent.
 *
 * Answers {'epoch'} when the batch was meant for another epoch, or this one is over, else {'stored', last position, gap, claims}: the last
 * as JSON, per claim [session, claim, at, floor, previous claim, its node, at, from, detach, sent, cursor of its node].
 * A number that was stored before gets the answer of its first run, a lower one {'burnt'}: its caller gave up on it
 * before others were stored. Every check stands before the first write: what
 * fails half-way has changed nothing.
 */
export const append: Script = new Script(`
local head, log, producers, answers, claims, nodes, marks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
${COMMON}
local epoch, node, producer, number = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local h = redis.call('HMGET', head, 'epoch', 'pos', 'bytes', 'max', 'cut', 'trimmed', 'unconfirmed')
if h[1] ~= epoch then return {'epoch'} end
-- Claims that were evicted or deleted: whoever looks at the log next gives it a new epoch.
if ARGV[7] ~= '0' and redis.call('HEXISTS', claims, '') == 0 then return {'epoch'} end
local known = redis.call('HGET', producers, producer)
local had, had_last, had_gap = 0, '0', '0'
if known then
  local a, b, c = string.match(known, '^(%d+) (%d+) (%d)')
  had, had_last, had_gap = tonumber(a), b, c
end
if had > number then return {'burnt'} end
if had == number then
  -- Replicas confirm up to the last write of a connection: on a new one there has to be one to confirm.
  if ARGV[9] == '1' then redis.call('HSET', head, 'again', producer) end
  return {'stored', had_last, had_gap, redis.call('HGET', answers, producer) or '[]'}
end
${ROWS}
local now = int(milliseconds())
local base, bytes, last = tonumber(h[2]), tonumber(h[3]), h[2]
local parts, controls = tonumber(ARGV[6]), tonumber(ARGV[7])
local max = tonumber(h[4] or ARGV[8])
local before, next_arg, position = bytes, 10, base
for i = 1, parts do
  position = position + tonumber(ARGV[next_arg])
  last = int(position)
  bytes = bytes + #ARGV[next_arg + 1]
  redis.call('XADD', log, last .. '-0', 'n', ARGV[next_arg], 'k', producer .. ':' .. ARGV[4] .. ':' .. i,
    'e', epoch, 'b', ARGV[next_arg + 1])
  next_arg = next_arg + 2
end
redis.call('HSET', head, 'pos', last, 'bytes', int(bytes))
if ARGV[9] ~= '1' and h[7] ~= '1' then redis.call('HSET', head, 'unconfirmed', '1') end

-- The log is held to its size here, for no maintenance comes as fast as memory can fill.
local step = max / 16
if math.floor(bytes / step) > math.floor(before / step) then redis.call('RPUSH', marks, last .. ' ' .. int(bytes)) end
local cut, trimmed = tonumber(h[5] or '0'), nil
while bytes - cut > max do
  local mark = redis.call('LINDEX', marks, 0)
  local at, upto
  if mark then at, upto = string.match(mark, '^(%d+) (%d+)$') end
  if not at or at == last then break end
  redis.call('LPOP', marks)
  cut, trimmed = tonumber(upto), at
end
if trimmed then
  redis.call('HSET', head, 'cut', int(cut))
  -- What went for its age lies before some of the marks.
  if tonumber(trimmed) > tonumber(h[6] or '0') then
    redis.call('XTRIM', log, 'MINID', int(tonumber(trimmed) + 1) .. '-0')
    redis.call('HSET', head, 'trimmed', trimmed)
  end
end

local found = {}
local function save(session, c) redis.call('HSET', claims, session, cjson.encode(c)) end
for i = 1, controls do
  local kind, offset, session, claim, detach, sent = unpack(ARGV, next_arg, next_arg + 5)
  next_arg = next_arg + 6
  local at = int(base + tonumber(offset))
  local old = load_claim(session)
  if kind == 'end' then
    redis.call('HDEL', claims, session)
  elseif kind == 'release' then
    if old and old[CLAIM] == claim then
      -- What is lost stays lost: a release that comes from an earlier life of the log proves nothing about this one.
      if old[DETACH] ~= LOST then old[DETACH], old[SENT] = detach, sent end
      old[CHANGED], old[EPOCH] = now, epoch
      save(session, old)
    elseif old and old[PRIOR] == claim then
      old[FROM] = detach == LOST and '' or detach
      if old[EPOCH] == epoch then save(session, old) end
    elseif not old and detach == LOST then
      save(session, {claim, node, at, at, '', '', LOST, LOST, now, epoch})
    end
  else
    local floor, from, prior, cursor = at, at, '', ''
    if old then
      local row = node_row(old[NODE])
      cursor = row and row.cursor or ''
      if old[DETACH] ~= LOST then floor = old[FLOOR] end
      if old[DETACH] == LOST then from = ''
      elseif old[DETACH] ~= '' then from = old[DETACH]
      elseif cursor == '' then from = ''
      elseif tonumber(cursor) >= tonumber(old[AT]) then from = cursor
      elseif old[FROM] == '' then from = ''
      else from = int(math.min(tonumber(cursor), tonumber(old[FROM]))) end
      if old[DETACH] == '' then prior = old[CLAIM] end
    end
    local o = old or {'', '', '', '', '', '', '', ''}
    found[#found + 1] = {session, claim, at, floor, o[CLAIM], o[NODE], o[AT], o[FROM], o[DETACH], o[SENT], cursor}
    save(session, {claim, node, floor, at, prior, from, '', '', now, epoch})
  end
end

local gap = had < tonumber(ARGV[5]) and '1' or '0'
redis.call('HSET', producers, producer, ARGV[4] .. ' ' .. last .. ' ' .. gap .. ' ' .. now .. ' ' .. node)
local answer = '[]'
if #found > 0 then
  answer = cjson.encode(found)
  redis.call('HSET', answers, producer, answer)
elseif known then
  redis.call('HDEL', answers, producer)
end
return {'stored', last, gap, answer}
`);
