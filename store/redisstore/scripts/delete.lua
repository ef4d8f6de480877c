-- delete: now, id, reason, touches, filer, listeners of ends, the error of
-- deliveries beyond a limit. Returns what ended, and the listeners of which a
-- limit was passed. What has expired is left to the sweep.
local now, id, reason = clock(ARGV[1]), ARGV[2], ARGV[3]
local r = read(id)
local to = listeners(filer(touch(r, 4)))
if alive(r, now) then finish(r, now, reason, to) end
return { ended, overflow }
