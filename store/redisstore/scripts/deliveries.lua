-- deliveries: now, listener, how many, the longest delay. Returns how many wait,
-- when the next one is due or "", and those that are due, each with since when.
local now, listener, n, longest = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local heads = base .. 'h:' .. listener
local due = {}
local function add(from, to, zero)
  local some = call('ZRANGEBYSCORE', heads, from, to, 'WITHSCORES', 'LIMIT', 0, n)
  for k = 1, #some, 2 do due[#due + 1] = { id = some[k], since = tonumber(some[k + 1]) + zero } end
end
add('-inf', '(0', fresh)
add('0', text(now), 0)
add('(' .. text(now + longest), '+inf', 0)
table.sort(due, function(a, b)
  if a.since ~= b.since then return a.since < b.since end
  return a.id < b.id
end)
local all = {}
for k = 1, math.min(#due, n) do
  local d = delivery(call('ZRANGE', base .. 'q:' .. due[k].id .. listener, 0, 0)[1])
  d[4] = text(due[k].since)
  all[k] = d
end
local next = ''
if #due == 0 then next = call('ZRANGEBYSCORE', heads, '(' .. text(now), text(now + longest), 'WITHSCORES', 'LIMIT', 0, 1)[2] or '' end
return { call('ZCARD', base .. 'a:' .. listener), next, all }
