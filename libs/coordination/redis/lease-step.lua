-- One step of one holder in one group of leases (LeaseStep in ../leases/port.ts). KEYS[1]: a hash that is all there is of the group:
--   server, since       which run of which server has known the group since when
--   fence               the highest fence given
--   member:<holder>     until when it counts as a member
--   lease:<name>        "<fence> <until> <holder>"
-- ARGV[1]: the step as JSON. Answers {{name, fence, name, fence, ...}, {member, ...}}. Times are milliseconds of the server's clock.
local group = KEYS[1]
local step = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local latest = now + step.leaseMs
local latestText = string.format('%.0f', latest)

local fields = redis.call('HGETALL', group)
local known, leases, members = {}, {}, {}
for i = 1, #fields, 2 do
  local field, value = fields[i], fields[i + 1]
  local kind, name = string.match(field, '^(%l+):(.*)$')
  if kind == 'lease' then
    local fence, untilText, holder = string.match(value, '^(%d+) (%d+) (.*)$')
    leases[name] = { fence = tonumber(fence), untilMs = tonumber(untilText), holder = holder }
    -- Nothing lasts longer than from now on, also when the server's clock was set back.
    if tonumber(untilText) > latest then
      redis.call('HSET', group, field, fence .. ' ' .. latestText .. ' ' .. holder)
    end
  elseif kind == 'member' then
    members[name] = tonumber(value)
    if tonumber(value) > latest then
      redis.call('HSET', group, field, latestText)
    end
  else
    known[field] = value
  end
end

-- Another server, or another run of it, may know less than was answered to holders: after a restart, a failover, FLUSHALL.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local since = tonumber(known.since)
if known.server ~= server or since > now then
  since = now
  redis.call('HSET', group, 'server', server, 'since', string.format('%.0f', now))
end
local forgetful = now < since + step.leaseMs

-- Fences go on rising where the last one was forgotten.
local top = math.max(tonumber(known.fence or now), step.fenceSeen)
local held, count = {}, 0

local function hold(name, fence)
  top = math.max(top, fence)
  local fenceText = string.format('%.0f', fence)
  redis.call('HSET', group, 'lease:' .. name, fenceText .. ' ' .. latestText .. ' ' .. step.holder)
  held[#held + 1] = name
  held[#held + 1] = fenceText
  count = count + 1
end

local function isHolders(lease)
  local taken = leases[lease.name]
  return taken and taken.holder == step.holder and taken.fence == lease.fence
end

for _, lease in ipairs(step.giveBack) do
  if isHolders(lease) then
    redis.call('HDEL', group, 'lease:' .. lease.name)
    leases[lease.name] = nil
  end
end

for _, lease in ipairs(step.keep) do
  local taken = leases[lease.name]
  local forgotten = forgetful and (not taken or taken.fence < lease.fence)
  if forgotten or isHolders(lease) then
    hold(lease.name, lease.fence)
  end
end

if not forgetful then
  for _, name in ipairs(step.take) do
    if count >= step.upTo then
      break
    end
    local taken = leases[name]
    if not taken or taken.holder == step.holder or taken.untilMs <= now then
      hold(name, top + 1)
    end
  end
end
redis.call('HSET', group, 'fence', string.format('%.0f', top))

members[step.holder] = nil
for member, untilMs in pairs(members) do
  if untilMs <= now then
    redis.call('HDEL', group, 'member:' .. member)
    members[member] = nil
  end
end
if step.leaves then
  redis.call('HDEL', group, 'member:' .. step.holder)
else
  redis.call('HSET', group, 'member:' .. step.holder, latestText)
  members[step.holder] = latest
end

local names = {}
for member in pairs(members) do
  names[#names + 1] = member
end
table.sort(names)
return { held, names }
