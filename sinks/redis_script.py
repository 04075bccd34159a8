"""What Redis does with transitions, as a script there: many in one go, with no other client in between.

| key | type | holds |
|---|---|---|
| `tocsin:TOPOLOGY:alert:ID` | hash | an alert as it is now; `transition`: the last one, as NDJSON has it |
| `tocsin:TOPOLOGY:current` | sorted set | all current alerts by id; score: until when (Unix ms), inf while open |
| `tocsin:TOPOLOGY:entity:JSON` | sorted set | those of one entity, as the transition spells it |
| `tocsin:TOPOLOGY:area:AREA` | sorted set | those of one area |
| `tocsin:TOPOLOGY:stream` | stream | every transition once, the latest of them; `transition` as above |

`rank` in the hash is twice the sequence, plus one for the truth: a transition whose rank is not higher than that of its
alert is known or outdated, and nothing of it is written, neither state nor stream. A cleared alert leaves the sorted
sets; its hash stays for a while, so that what comes again after a crash is still recognised. The server's clock counts.
"""

# The entry of the stream is written before the rank, which says that it is there; Redis refuses for want of memory or
# rights at the first command that writes, or not at all.
SCRIPT = """
local most, open_for, closed_for, shown_for = tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function call(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    error(answer.err .. ' [' .. key .. ']', 0)
  end
  return answer
end

local function place(key, id, score)
  if score then
    call('ZADD', key, score, id)
  else
    call('ZREM', key, id)
  end
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  local last = call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
  if last then
    local open = last == 'inf'
    call('PEXPIRE', key, open and open_for or math.ceil(tonumber(last) - now))
  end
end

local function take(topology, id, rank, state, entity, area, level, rule, kind, sequence, early, transition)
  local prefix = 'tocsin:' .. topology .. ':'
  local alert = prefix .. 'alert:' .. id
  local known = call('HMGET', alert, 'rank', 'area')
  if known[1] and tonumber(known[1]) >= rank then
    return 0
  end
  local score = nil
  if state == 'open' then score = 'inf' elseif state == 'immediate' then score = now + shown_for end
  if known[2] and known[2] ~= '' and known[2] ~= area then
    place(prefix .. 'area:' .. known[2], id, nil)
  end
  place(prefix .. 'current', id, score)
  place(prefix .. 'entity:' .. entity, id, score)
  if area ~= '' then
    place(prefix .. 'area:' .. area, id, score)
  end
  call('XADD', prefix .. 'stream', 'MAXLEN', '~', most, '*', 'alert_id', id, 'sequence', sequence, 'early', early,
    'kind', kind, 'level', level, 'rule', rule, 'transition', transition)
  call('HSET', alert, 'rank', rank, 'state', state, 'entity', entity, 'area', area, 'level', level, 'rule', rule,
    'sequence', sequence, 'early', early, 'transition', transition)
  call('PEXPIRE', alert, state == 'open' and open_for or closed_for)
  return 1
end

local function run()
  local taken = 0
  for _, row in ipairs(cmsgpack.unpack(ARGV[1])) do
    taken = taken + take(unpack(row))
  end
  return taken
end

local fine, result = pcall(run)
if not fine then
  return redis.error_reply(result)
end
return result
"""
