-- settle: for each delivery its id, outcome (delivered, dead or retry), time
-- of the next attempt or "", and error. Returns how many were there.
local found = 0
for k = 1, #ARGV, 4 do
  local id, outcome = ARGV[k], ARGV[k + 1]
  local listener, session, dead = find(id)
  if listener then
    found = found + 1
    if outcome == 'delivered' then
      remove(listener, session, id, dead)
    else
      call('HINCRBY', base .. 'l:' .. id, 'n', 1)
      call('HSET', base .. 'l:' .. id, 'x', ARGV[k + 2], 'err', ARGV[k + 3], 'dead', outcome == 'dead' and '1' or '0')
      take(listener, session, id, dead)
      if outcome == 'dead' then bury(listener, id) else await(listener, session, id) end
    end
  end
end
return found
