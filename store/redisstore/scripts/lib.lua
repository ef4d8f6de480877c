-- What the scripts share; it stands before each of them. KEYS[1] is the
-- beginning of the keys of one manager, which have one hash tag, so that all of
-- them are in one slot:
--
--   s:<id>       hash: the record of a session
--   x            sorted set: id -> deadline, for the sweep
--   e            sorted set: id -> expiry, for listings
--   c            sorted set: id -> -creation, for listings
--   i            sorted set: ids, in their order
--   p:<name>     sorted set: id -> -creation, the sessions of a principal
--   k:<id>       string: holder and end of a lease, with a TTL
--   n            string: the last number of an event
--   o:<number>   hash: an event, and how many deliveries there are of it
--   l:<delivery> hash: a delivery
--   a:<listener> sorted set: its deliveries that wait
--   g:<listener> sorted set: its dead letters
--   q:<id><listener> sorted set: deliveries of one session that wait
--   h:<listener> sorted set: id -> when the first of these is due
--   d            sorted set: dead letters of all listeners
--   w            set: listeners that have something
local base = KEYS[1]
local call = redis.call
local ended = {}   -- what a script ended: id, reason, principal

-- fresh is taken from the time of an event that was not tried yet, so that it
-- is due whatever the clock says.
local fresh = 4503599627370496

local function text(n) return string.format('%.17g', n) end

-- clock returns the time in milliseconds: the given one, or the server's.
local function clock(arg)
  if arg ~= '' then return tonumber(arg) end
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- read returns what decides about a record, or nil.
local function read(id)
  local f = call('HMGET', base .. 's:' .. id, 'v', 'n', 't', 'i', 'a', 'c', 'p')
  if not f[1] then return nil end
  return { id = id, v = f[1], n = f[2], t = tonumber(f[3]), i = tonumber(f[4]),
    a = tonumber(f[5]), c = tonumber(f[6]), p = f[7] }
end

local function expiry(r) return math.min(r.t + r.i, r.a) end
local function deadline(r) return math.min(r.t + r.i + r.i / 20, r.a) end
local function alive(r, now) return r and now < deadline(r) end

-- touch moves the access time of a record as ARGV[at] and what follows say:
-- incarnation, number of pairs, and pairs of when it was said and access time.
-- It returns the index behind them.
local function touch(r, at)
  local n = tonumber(ARGV[at + 1])
  if r and r.n == ARGV[at] then
    for k = at + 2, at + 2 * n, 2 do
      local said, accessed = tonumber(ARGV[k]), tonumber(ARGV[k + 1])
      if said < deadline(r) and accessed > r.t then r.t = accessed end
    end
  end
  return at + 2 + 2 * n
end

-- sound fails, before anything is written, if an index is a key of another type.
local function sound(principal)
  for _, set in ipairs({ 'x', 'e', 'c', 'i' }) do call('ZCARD', base .. set) end
  if principal ~= '' then call('ZCARD', base .. 'p:' .. principal) end
end

local function index(r)
  call('ZADD', base .. 'x', text(deadline(r)), r.id)
  call('ZADD', base .. 'e', text(expiry(r)), r.id)
end

local function enter(r)
  index(r)
  call('ZADD', base .. 'c', text(-r.c), r.id)
  call('ZADD', base .. 'i', 0, r.id)
  if r.p ~= '' then call('ZADD', base .. 'p:' .. r.p, text(-r.c), r.id) end
end

local function leave(r)
  for _, set in ipairs({ 'x', 'e', 'c', 'i' }) do call('ZREM', base .. set, r.id) end
  if r.p ~= '' then call('ZREM', base .. 'p:' .. r.p, r.id) end
end

-- head enters the first of a session's waiting deliveries where it is due.
local function head(listener, id)
  local first = call('ZRANGE', base .. 'q:' .. id .. listener, 0, 0)[1]
  if not first then
    call('ZREM', base .. 'h:' .. listener, id)
    return
  end
  local f = call('HMGET', base .. 'l:' .. first, 'x', 't')
  local due = f[1]
  if due == '' then due = text(tonumber(f[2]) - fresh) end
  call('ZADD', base .. 'h:' .. listener, due, id)
end

local function await(listener, id, delivery)
  call('ZADD', base .. 'a:' .. listener, 0, delivery)
  call('ZADD', base .. 'q:' .. id .. listener, 0, delivery)
  head(listener, id)
end

local function bury(listener, delivery)
  call('ZADD', base .. 'g:' .. listener, 0, delivery)
  call('ZADD', base .. 'd', 0, delivery)
end

-- take takes a delivery out of where it is: those that wait, or the dead letters.
local function take(listener, id, delivery, dead)
  if dead then
    call('ZREM', base .. 'g:' .. listener, delivery)
    call('ZREM', base .. 'd', delivery)
    return
  end
  call('ZREM', base .. 'a:' .. listener, delivery)
  call('ZREM', base .. 'q:' .. id .. listener, delivery)
  head(listener, id)
end

-- remove removes a delivery, and with the last one of an event the event.
local function remove(listener, id, delivery, dead)
  take(listener, id, delivery, dead)
  call('DEL', base .. 'l:' .. delivery)
  local event = base .. 'o:' .. string.sub(delivery, 1, 16)
  if call('HINCRBY', event, 'refs', -1) <= 0 then call('DEL', event) end
  if call('EXISTS', base .. 'a:' .. listener, base .. 'g:' .. listener) == 0 then
    call('SREM', base .. 'w', listener)
  end
end

-- find returns where a delivery is, or nil.
local function find(delivery)
  local f = call('HMGET', base .. 'l:' .. delivery, 'l', 's', 'dead')
  if f[1] then return f[1], f[2], f[3] == '1' end
end

local filing = {}  -- number of the manager, beginning of tags, channel; see filer
local overflow = {}

-- filer reads from ARGV[at] on what file needs, and returns the index behind it.
local function filer(at)
  filing = { manager = ARGV[at], tag = ARGV[at + 1], channel = ARGV[at + 2], count = 0 }
  return at + 3
end

-- listeners reads from ARGV[at] on their number, and for each one its name, how
-- many deliveries may wait for it, and how many do in other managers.
local function listeners(at)
  local all, n = {}, tonumber(ARGV[at])
  for k = 1, n do
    local j = at + 3 * k - 2
    all[k] = { name = ARGV[j], limit = tonumber(ARGV[j + 1]), elsewhere = tonumber(ARGV[j + 2]) }
  end
  return all, at + 1 + 3 * n
end

-- file stores an event with its deliveries. fields are names and values.
local function file(id, now, to, fields)
  if #to == 0 then return end
  local n = math.max((tonumber(call('GET', base .. 'n')) or 0) + 1, now * 16)
  call('SET', base .. 'n', string.format('%.0f', n))
  local number = string.format('%012x', n) .. filing.manager
  call('HSET', base .. 'o:' .. number, 'at', text(now), 'refs', #to, unpack(fields))
  for _, l in ipairs(to) do
    filing.count = filing.count + 1
    local delivery = number .. filing.tag .. string.format('%04x', filing.count % 65536)
    local dead = l.limit > 0 and call('ZCARD', base .. 'a:' .. l.name) + l.elsewhere >= l.limit
    call('HSET', base .. 'l:' .. delivery, 'l', l.name, 's', id, 't', text(now), 'n', 0,
      'x', '', 'err', dead and ARGV[#ARGV] or '', 'dead', dead and '1' or '0')
    call('SADD', base .. 'w', l.name)
    if dead then
      bury(l.name, delivery)
      overflow[#overflow + 1] = l.name
    else
      await(l.name, id, delivery)
    end
    call('PUBLISH', filing.channel, l.name)
  end
end

-- finish ends a session, and stores the event of it.
local function finish(r, now, reason, to)
  local key = base .. 's:' .. r.id
  sound(r.p)
  if #to > 0 then
    local f = call('HMGET', key, 'm', 'd')
    file(r.id, now, to, { 'kind', 'delete', 'reason', reason, 'keys', '', 'v', r.v, 'n', r.n, 't', text(r.t),
      'i', text(r.i), 'a', text(r.a), 'c', text(r.c), 'p', r.p, 'm', f[1], 'z', #f[2], 'd', f[2] })
  end
  call('DEL', key)
  leave(r)
  for _, v in ipairs({ r.id, reason, r.p }) do ended[#ended + 1] = v end
end

-- info returns what a listing tells of a record.
local function info(r)
  local key = base .. 's:' .. r.id
  return { r.id, r.v, r.n, text(r.t), text(r.i), text(r.a), text(r.c), r.p, call('HGET', key, 'm'), text(call('HSTRLEN', key, 'd')) }
end

-- delivery returns all there is of one.
local function delivery(id)
  local f = call('HMGET', base .. 'l:' .. id, 'l', 's', 'n', 'x', 'err', 'dead')
  local e = call('HMGET', base .. 'o:' .. string.sub(id, 1, 16), 'kind', 'reason', 'at', 'keys', 'v', 'n', 't', 'i', 'a', 'c', 'p', 'm', 'z', 'd')
  return { id, f, e }
end
