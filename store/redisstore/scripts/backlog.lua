-- backlog: returns for each listener its name, how many wait, how many are dead
-- letters, and when the oldest event happened that waits.
local all = {}
for k, l in ipairs(call('SMEMBERS', base .. 'w')) do
  local first = call('ZRANGE', base .. 'a:' .. l, 0, 0)[1]
  all[k] = { l, text(call('ZCARD', base .. 'a:' .. l)), text(call('ZCARD', base .. 'g:' .. l)), first and call('HGET', base .. 'l:' .. first, 't') or '' }
end
return all
