-- claim: what to do (take, renew or release), holder, milliseconds, channel,
-- listener. KEYS[1] says which process delivers to a listener. Returns for how
-- many milliseconds another one does; 0 if it is this one, or none.
local has = redis.call('GET', KEYS[1])
local what, holder = ARGV[1], ARGV[2]
if has and has ~= holder then return math.max(1, redis.call('PTTL', KEYS[1])) end
if what == 'release' then
  if has then
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', ARGV[4], ARGV[5])
  end
elseif has or what == 'take' then
  redis.call('SET', KEYS[1], holder, 'PX', ARGV[3])
end
return 0
