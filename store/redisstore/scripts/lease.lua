-- lease: now, id, holder, milliseconds. Returns 0 if another holder has it.
local now, key, holder, ttl = clock(ARGV[1]), base .. 'k:' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local has, till = string.match(call('GET', key) or '', '^(%d+) (.+)$')
if has and has ~= holder and now < tonumber(till) then return ttl == 0 and 1 or 0 end
if ttl == 0 then
  call('DEL', key)
else -- the end decides; the TTL, by the server's clock, tidies up
  call('SET', key, holder .. ' ' .. text(now + ttl), 'PX', ttl + 60000)
end
return 1
