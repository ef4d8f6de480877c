-- purge: listener, how many at once. Returns how many went.
local n, most = 0, tonumber(ARGV[2])
for _, set in ipairs({ 'a:', 'g:' }) do
  if n == most then break end
  for _, id in ipairs(call('ZRANGE', base .. set .. ARGV[1], 0, most - n - 1)) do
    local listener, session, dead = find(id)
    remove(listener, session, id, dead)
    n = n + 1
  end
end
return n
