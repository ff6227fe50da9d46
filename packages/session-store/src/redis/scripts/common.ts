/**
 * The beginning of every script. All decide by the clock of the server, and answer `{ status, now, … }`.
 *
 * Clients repeat a write whose answer was lost, ioredis does so by itself. Two things keep that harmless:
 * - `ARGV[1]` is the moment until which somebody waits for the answer. A write that arrives later changes nothing.
 * - `ARGV[2]` is an id of the write. A record remembers the last four in `_w`, with the versions they made.
 *
 * Numbers are written with `%.0f`: the default of Lua would round them to 14 digits.
 */
export const CLOCK = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
`;

export const WRITE: string = `${CLOCK}
if now > tonumber(ARGV[1]) then return { 'late', text(now) } end
`;

/** For scripts that change the content of a record. */
export const REMEMBER = `
local function madeBy(writes, id)
  return writes and string.match(writes, id .. ':(%d+);')
end
local function remembering(writes, id, version)
  local entry = id .. ':' .. version .. ';'
  return entry .. string.sub(writes or '', 1, 3 * #entry)
end
`;

/**
 * For scripts that move the deadline of `KEYS[1]`. The index in `KEYS[2]` holds the deadlines of all sessions of the
 * user, is rid of those that are over, and ends with the last one.
 */
export const EXPIRE = `
local function expireAt(deadline, id)
  redis.call('PEXPIREAT', KEYS[1], text(deadline))
  redis.call('ZADD', KEYS[2], text(deadline), id)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. text(now))
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', KEYS[2], text(tonumber(last[2]))) end
end
`;
