-- Counts one under each key, or where one of them is used up under none. See src/platform/window.rs for the rules.
-- KEYS: hashes of counts by the time at which their part began. ARGV: now, then number, keep and grain for each key; milliseconds.
-- Answers used, is over, start, frees at for each key.
local now, fits, found = tonumber(ARGV[1]), true, {}
for i, key in ipairs(KEYS) do
    local number, keep, grain = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
    local used, starts, hits = 0, {}, {}
    local fields = redis.call('HGETALL', key)
    for at = 1, #fields, 2 do
        local start = tonumber(fields[at])
        if start + keep > now then
            used = used + tonumber(fields[at + 1])
            starts[#starts + 1], hits[start] = start, tonumber(fields[at + 1])
        else
            redis.call('HDEL', key, fields[at])
        end
    end
    table.sort(starts)
    local frees_at, gone = now, 0
    for _, start in ipairs(starts) do
        gone = gone + hits[start]
        if gone > used - number then
            frees_at = start + keep
            break
        end
    end
    local start = grain > 0 and now - now % grain or starts[1] or now
    found[i] = { used = used, over = used >= number, start = start, frees_at = frees_at, keep = keep }
    fits = fits and not found[i].over
end
local answer = {}
for i, key in ipairs(KEYS) do
    local one = found[i]
    if fits then
        one.used = one.used + 1
        redis.call('HINCRBY', key, string.format('%d', one.start), 1)
        -- counters end by themselves
        redis.call('PEXPIRE', key, string.format('%d', one.keep))
    end
    for _, value in ipairs({ one.used, one.over and 1 or 0, one.start, one.frees_at }) do
        answer[#answer + 1] = value
    end
end
return answer
