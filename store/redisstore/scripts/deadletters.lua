-- deadletters: the id to begin after or "", how many.
local after = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local all = {}
for k, id in ipairs(call('ZRANGEBYLEX', base .. 'd', after, '+', 'LIMIT', 0, tonumber(ARGV[2]))) do all[k] = delivery(id) end
return all
