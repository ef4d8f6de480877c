-- sweep: now, the server's time or another, filer, listeners of ends, the number of ids,
-- ids, the error of deliveries beyond a limit. Ends those that are past their
-- deadline by now; events are of the second time. Returns what ended, and the
-- listeners of which a limit was passed.
local now, at = tonumber(ARGV[1]), clock(ARGV[2])
local to, i = listeners(filer(3))
for k = i + 1, i + tonumber(ARGV[i]) do
  local r = read(ARGV[k])
  if not r then
    for _, set in ipairs({ 'x', 'e', 'c', 'i' }) do call('ZREM', base .. set, ARGV[k]) end
  elseif alive(r, now) then
    index(r)
  else
    finish(r, at, r.a > deadline(r) and 'idle' or 'absolute', to)
  end
end
return { ended, overflow }
