-- touch: the number of sessions, and for each one its id and touches. A key
-- that is no record holds up no other one.
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  local good, r = pcall(read, ARGV[at])
  if not good then r = nil end
  local before = r and r.t
  at = touch(r, at + 1)
  if r and r.t ~= before then
    call('HSET', base .. 's:' .. r.id, 't', text(r.t))
    index(r)
  end
end
return 1
