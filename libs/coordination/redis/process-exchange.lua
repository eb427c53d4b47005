-- One process says what it does, and hears what all said (ProcessBoard in ../processes/port.ts). KEYS[1]: a hash of
--   process:<id>   "<when it said so> <what it said>"
-- ARGV: the id, what it says, and for how many milliseconds that stands. Answers {age, said, age, said, ...}. Times are milliseconds
-- of the server's clock.
local board = KEYS[1]
local id, says, stands = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nowText = string.format('%.0f', now)

redis.call('HSET', board, 'process:' .. id, nowText .. ' ' .. says)
redis.call('PEXPIRE', board, stands)

local heard = {}
local fields = redis.call('HGETALL', board)
for i = 1, #fields, 2 do
  local field = fields[i]
  local whenText, said = string.match(fields[i + 1], '^(%d+) (.*)$')
  local age = now - tonumber(whenText or 0)
  -- Nothing stands longer than from now on, also when the server's clock was set back.
  if age < 0 then
    redis.call('HSET', board, field, nowText .. ' ' .. said)
    age = 0
  end
  if age >= stands then
    redis.call('HDEL', board, field)
  else
    heard[#heard + 1] = string.format('%.0f', age)
    heard[#heard + 1] = said
  end
end
return heard
