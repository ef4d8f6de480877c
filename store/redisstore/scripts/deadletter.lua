-- deadletter: id, what to do (retry or delete), channel. Returns the listener, or ""
-- if there is no such dead letter.
local id = ARGV[1]
local listener, session, dead = find(id)
if not dead then return '' end
if ARGV[2] == 'delete' then
  remove(listener, session, id, true)
else
  call('HSET', base .. 'l:' .. id, 'x', '', 'dead', '0')
  take(listener, session, id, true)
  await(listener, session, id)
  call('PUBLISH', ARGV[3], listener)
end
return listener
