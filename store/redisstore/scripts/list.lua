-- list: now, the id to begin after or "", how many to look at. Returns the last
-- id that was looked at, or "" at the end, and the live ones.
local now, after, n = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local ids = call('ZRANGEBYLEX', base .. 'i', after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, n)
local live = {}
for _, id in ipairs(ids) do
  local r = read(id)
  if alive(r, now) then live[#live + 1] = info(r) end
end
return { #ids == n and ids[n] or '', live }
