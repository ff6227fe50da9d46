/**
 * Shared by the scripts. Numbers of Lua are doubles, exact to 2^53, but print with an exponent from 1e14 on: positions
 * are texts wherever they are stored or answered. Nothing in here writes.
 */
export const COMMON = `
local function int(x) return string.format('%.0f', x) end
local function milliseconds()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
`;

/**
 * For scripts that must run when \`maxmemory\` is reached: beats, without which living processes count as dead, and
 * trimming, which frees memory. Redis refuses only a script whose first write may need memory; this one never does.
 * (\`#!lua flags=allow-oom\` says the same, to Redis 7 and newer alone.) Needs a hash as first key.
 */
export const IN_FULL_MEMORY = `
redis.call('HDEL', KEYS[1], '')
`;

/**
 * Claims and nodes as they count. Needs the locals \`epoch\`, \`claims\` and \`nodes\` (keys).
 *
 * A node is 'cursor beatMs live since beats', or 'gone round' once it was given up. A claim is a JSON array of texts:
 * claim, node, floor, at, prior, from, detach, sent, changedMs, epoch; '' is nothing.
 *
 * What happens to all claims of a log or of a node at once is never written to each of them, but seen when one is read:
 * a claim of an earlier epoch is lost, and so is one that is held by a node that was given up, even if it has come back
 * (its registration is younger than the claim); one that is held by a node that left is released where its stream had
 * to start.
 */
export const ROWS = `
local CLAIM, NODE, FLOOR, AT, PRIOR, FROM, DETACH, SENT, CHANGED, EPOCH = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local LOST = '-1'
local function node_row(id)
  local text = redis.call('HGET', nodes, id)
  if not text then return nil end
  local cursor, beat, live, since, beats = string.match(text, '^(%d+) (%d+) (%d) (%d+) (%d+)$')
  if not cursor then return {gone = true} end
  return {cursor = cursor, beat = tonumber(beat), live = live == '1', since = tonumber(since), beats = beats}
end
local function as_it_counts(text)
  local c = cjson.decode(text)
  if c[EPOCH] ~= epoch then
    c[DETACH], c[SENT] = LOST, LOST
  elseif c[DETACH] == '' then
    local row = node_row(c[NODE])
    if not row then
      c[DETACH] = c[FROM] ~= '' and c[FROM] or LOST
      c[SENT] = c[DETACH]
    elseif row.gone or row.since >= tonumber(c[AT]) then
      c[DETACH], c[SENT] = LOST, LOST
    end
  end
  return c
end
local function load_claim(session)
  local text = redis.call('HGET', claims, session)
  return text and as_it_counts(text)
end
`;

/** Needs what \`ROWS\` needs. A frozen process keeps its connection, so only the beat shows it. */
export const LIVENESS = `
local function liveness(row, channel, timeout, heard_within, now)
  if not row or row.gone or now - row.beat > timeout then return 'dead' end
  if now - row.beat < heard_within or not row.live then return 'attached' end
  return redis.call('PUBSUB', 'NUMSUB', channel)[2] > 0 and 'attached' or 'suspect'
end
`;
