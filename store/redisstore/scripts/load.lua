-- load: now, id, touches. Returns the record, with its access time, unless it
-- is past its deadline.
local now, id = clock(ARGV[1]), ARGV[2]
local r = read(id)
touch(r, 3)
if not alive(r, now) then return {} end
local f = call('HMGET', base .. 's:' .. id, 'm', 'd', 'k')
return { r.v, r.n, text(r.t), text(r.i), text(r.a), text(r.c), r.p, f[1], f[2], f[3] or '' }
