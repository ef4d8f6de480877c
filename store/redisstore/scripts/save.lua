-- save: now, id, condition ("" for none, else the version), the record, limit
-- and whether to evict, touches, filer, listeners of ends, events, and the error
-- of deliveries beyond a limit. Returns the outcome, the access time, what
-- ended, and the listeners of which a limit was passed.
local now, id, expected = clock(ARGV[1]), ARGV[2], ARGV[3]
local w = { id = id, v = ARGV[4], n = ARGV[5], t = tonumber(ARGV[6]), i = tonumber(ARGV[7]), a = tonumber(ARGV[8]),
  c = tonumber(ARGV[9]), p = ARGV[10] }
local meta, data, cookies, limit, evict = ARGV[11], ARGV[12], ARGV[13], tonumber(ARGV[14]), ARGV[15] == '1'
local r = read(id)
local at = filer(touch(r, 16))
local ends
ends, at = listeners(at)

local live = alive(r, now)
if live and r.v == w.v then return { 'ok', text(r.t), ended, overflow } end
if expected == '' then
  if live then return { 'conflict' } end
elseif not live or r.n ~= w.n then
  return { 'gone' }
elseif r.v ~= expected then
  return { 'conflict' }
end

sound(w.p)
if r then sound(r.p) end

-- A session that gets a principal is judged by its limit.
if limit > 0 and w.p ~= '' and not (live and r.p == w.p) then
  local others = {}
  for _, other in ipairs(call('ZRANGE', base .. 'p:' .. w.p, 0, -1)) do
    local o = other ~= id and read(other)
    if o and alive(o, now) then others[#others + 1] = o end
  end
  local over = #others + 1 - limit
  if over > 0 and not evict then return { 'limit' } end
  table.sort(others, function(a, b)
    if a.c ~= b.c then return a.c < b.c end
    return a.id < b.id
  end)
  for k = 1, over do finish(others[k], now, 'evicted', ends) end
end

if r and r.n ~= w.n then
  finish(r, now, 'replaced', ends)
elseif r and r.p ~= '' and (r.p ~= w.p or r.c ~= w.c) then
  call('ZREM', base .. 'p:' .. r.p, id)
end
if live and r.t > w.t then w.t = r.t end
local key = base .. 's:' .. id
call('HSET', key, 'v', w.v, 'n', w.n, 't', text(w.t), 'i', text(w.i), 'a', text(w.a), 'c', text(w.c), 'p', w.p, 'm', meta, 'd', data)
if cookies == '' then call('HDEL', key, 'k') else call('HSET', key, 'k', cookies) end
enter(w)

-- Events: their number, and for each one its listeners, and the fields.
local events = tonumber(ARGV[at])
at = at + 1
for _ = 1, events do
  local to
  to, at = listeners(at)
  local fields, n = {}, tonumber(ARGV[at])
  for k = 1, n do fields[k] = ARGV[at + k] end
  fields[n + 1], fields[n + 2] = 't', text(w.t)
  at = at + 1 + n
  file(id, now, to, fields)
end
return { 'ok', text(w.t), ended, overflow }
