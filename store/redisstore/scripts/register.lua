-- register: manager, the number that it had or "". KEYS[1] is a hash of the
-- managers of a store and their numbers. Returns the number, or "" if there are
-- too many.
local n = redis.call('HGET', KEYS[1], ARGV[1])
if n then return n end
n = ARGV[2]
if n == '' then
  local have = redis.call('HLEN', KEYS[1])
  if have > 65535 then return '' end
  n = string.format('%04x', have)
end
redis.call('HSET', KEYS[1], ARGV[1], n)
return n
