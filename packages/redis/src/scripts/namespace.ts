import { Script } from '../script.ts';
import { COMMON, IN_FULL_MEMORY, LIVENESS, ROWS } from './common.ts';

/**
 * Makes sure that the log exists and is whole, and that no restart or fail-over since the last look can have taken its
 * end away unnoticed: replication is asynchronous, and files are written behind. Where it can have, the log gets a new
 * epoch: so always, unless replicas confirmed each append of this epoch.
 *
 * - Whether they did is written before the first append: one that got lost would take the note about itself along.
 * - A process of the server that was never anybody's replica has lost nothing, though its replication began anew, as
 *   with the first replica that it gets.
 * - A key that was evicted or deleted: the log begins where it was trimmed to, and the claims have a field of no
 *   session. The other keys tell their absence by themselves.
 *
 * Needs the locals \`head\`, \`log\`, \`claims\`, \`new_epoch\`, \`waits\` ('1' when replicas confirm appends of the caller) and
 * the keys that belong to a life of the log, \`remains\`.
 */
const ENSURE_HEAD = `
local function begins_behind(pos)
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  return first and int(tonumber(string.match(first[1], '^%d+')) - tonumber(first[2][2])) or pos
end
local function ensure_head()
  local h = redis.call('HMGET', head, 'epoch', 'pos', 'trimmed', 'server', 'unconfirmed')
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local replication = redis.call('INFO', 'replication')
  local server = run .. ':' .. string.match(replication, 'master_replid:(%w+)')
  local unconfirmed = waits == '1' and '0' or '1'
  if not h[1] or not h[2] then
    for _, key in ipairs(remains) do redis.call('DEL', key) end
    redis.call('HSET', head, 'epoch', new_epoch, 'pos', '0', 'bytes', '0', 'trimmed', '0', 'server', server,
      'unconfirmed', unconfirmed)
    redis.call('HSET', claims, '', '[]')
    return new_epoch, '0', '0'
  end
  local is_same = h[4] == server
    or string.match(h[4], '^%w+') == run and string.match(replication, 'master_replid2:0+%s') ~= nil
  local behind = begins_behind(h[2])
  local is_whole = tonumber(behind) <= tonumber(h[3]) and redis.call('HEXISTS', claims, '') == 1
  if not is_same and h[5] ~= '0' or not is_whole then
    local trimmed = int(math.max(tonumber(behind), tonumber(h[3])))
    redis.call('HSET', head, 'epoch', new_epoch, 'trimmed', trimmed, 'announced', trimmed, 'server', server,
      'unconfirmed', unconfirmed)
    redis.call('HSET', claims, '', '[]')
    return new_epoch, h[2], trimmed
  end
  if h[4] ~= server then redis.call('HSET', head, 'server', server) end
  if h[5] == '0' and unconfirmed == '1' then redis.call('HSET', head, 'unconfirmed', '1') end
  return h[1], h[2], h[3]
end
`;

/**
 * KEYS head nodes log producers answers marks times large large-times claims. ARGV new epoch, '1' when replicas confirm
 * appends, node, cursor or '', position to check or '', '1' when the node's reading connection is up, the channel that
 * this one is subscribed to.
 * Answers {epoch, head, trimmed, token or nil, unknown, time, count of subscribers}.
 */
export const beat: Script = new Script(`
local head, nodes, log, claims = KEYS[1], KEYS[2], KEYS[3], KEYS[10]
local remains = {KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]}
local new_epoch, waits, node = ARGV[1], ARGV[2], ARGV[3]
${COMMON}${IN_FULL_MEMORY}${ENSURE_HEAD}
local epoch, pos, trimmed = ensure_head()
local now = int(milliseconds())
local cursor, since, beats = string.match(redis.call('HGET', nodes, node) or '', '^(%d+) %d+ %d (%d+) (%d+)$')
if since or ARGV[4] == '' then
  -- To register may take effect late, when the node has long been at work: then it must not seem to have read what it has not.
  if ARGV[4] ~= '' then cursor = ARGV[4]
  elseif not cursor or tonumber(cursor) > tonumber(pos) then cursor = pos end
  redis.call('HSET', nodes, node, table.concat({cursor, now, ARGV[6],
    since or pos, beats and int(tonumber(beats) + 1) or '1'}, ' '))
end
local check = (ARGV[5] == '' and pos or ARGV[5]) .. '-0'
local entry = redis.call('XRANGE', log, check, check)[1]
return {epoch, pos, trimmed, entry and entry[2][4] or false, since and '0' or '1', now,
  redis.call('PUBSUB', 'NUMSUB', ARGV[7])[2]}
`);

/** The same keys. ARGV new epoch, '1' when replicas confirm appends. Answers {epoch, head}. */
export const position: Script = new Script(`
local head, log, claims = KEYS[1], KEYS[3], KEYS[10]
local remains = {KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]}
local new_epoch, waits = ARGV[1], ARGV[2]
${COMMON}${IN_FULL_MEMORY}${ENSURE_HEAD}
local epoch, pos = ensure_head()
return {epoch, pos}
`);

/** KEYS head. ARGV the epoch that must still be the current one, the new one. */
export const renewEpoch: Script = new Script(`
${IN_FULL_MEMORY}
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'epoch', ARGV[2]) end
`);

/** KEYS head claims nodes. ARGV session, channels without their node, timeout and heard-within in milliseconds. */
export const locate: Script = new Script(`
local epoch, claims, nodes = redis.call('HGET', KEYS[1], 'epoch'), KEYS[2], KEYS[3]
${COMMON}${ROWS}${LIVENESS}
local c = load_claim(ARGV[1])
if not c or c[DETACH] ~= '' then return false end
local row = node_row(c[NODE])
return liveness(row, ARGV[2] .. c[NODE], tonumber(ARGV[3]), tonumber(ARGV[4]), milliseconds())
`);

/** KEYS nodes. ARGV node, its channel, timeout and heard-within in milliseconds. Answers {liveness, cursor or nil}. */
export const inspect: Script = new Script(`
local epoch, claims, nodes = '', '', KEYS[1]
${COMMON}${ROWS}${LIVENESS}
local row = node_row(ARGV[1])
return {liveness(row, ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), milliseconds()), row and row.cursor or false}
`);
