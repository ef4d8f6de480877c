-- page: now, order, principal, how many, and the place to begin after: "", or
-- the score and the id of a session that need not be there any more. Returns
-- live sessions, one more than asked for if there are more, each with its score.
local now, order, principal, n, score, after = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local found = {}
local function place(r) return order == 'created' and -r.c or expiry(r) end
local function add(r)
  local f = info(r)
  f[#f + 1] = text(place(r))
  found[#found + 1] = f
end

if principal ~= '' then -- all of theirs, and few
  local all = {}
  for _, id in ipairs(call('ZRANGE', base .. 'p:' .. principal, 0, -1)) do
    local r = read(id)
    if alive(r, now) and (score == '' or place(r) > tonumber(score) or place(r) == tonumber(score) and id > after) then all[#all + 1] = r end
  end
  table.sort(all, function(a, b)
    if place(a) ~= place(b) then return place(a) < place(b) end
    return a.id < b.id
  end)
  for k = 1, math.min(#all, n + 1) do add(all[k]) end
  return found
end

local set = base .. (order == 'created' and 'c' or 'e')
local rank = 0
if score ~= '' then -- the first rank behind the place: those of one score are in order of ids
  rank = call('ZCOUNT', set, '-inf', '(' .. score)
  local last = rank + call('ZCOUNT', set, score, score)
  while rank < last do
    local middle = math.floor((rank + last) / 2)
    if call('ZRANGE', set, middle, middle)[1] > after then last = middle else rank = middle + 1 end
  end
end
while #found <= n do
  local ids = call('ZRANGE', set, rank, rank + 99)
  for _, id in ipairs(ids) do
    local r = read(id)
    if alive(r, now) and #found <= n then add(r) end
  end
  if #ids < 100 then break end
  rank = rank + 100
end
return found
