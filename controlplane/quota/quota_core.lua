-- The quota state machine inside Redis: the second implementation of quota_core.cc and quota_admission.cc, which it
-- follows function by function and answers alike (redis_differential_test.cc). A library of Redis Functions, loaded
-- behind quota_arithmetic.lua and a line that gives NAME.
-- One call is atomic: it reads what it needs, decides on copies, and writes all that changed at its end (`flush`).
-- KEYS[1]: prefix of every key. ARGV: operation, header, body (MessagePack, written by redis_quota_script.cc).
-- Returns MessagePack.

local GRANTED, DENIED, UNKNOWN_SEQUENCE, INVALID = 1, 2, 3, 4
local REQUESTS_UNIT, TOKENS_UNIT = 1, 3
local SECOND, DAY = 1000000, 86400000000
local ARGUMENTS = 4000  -- of one command; Lua's stack is not endless

-- Of the call under way: set by `begin`.
local call, pack, unpack_all
local header, now, stored_now, last_suspense, stored_suspense, last_adjustment, last_tick, decisions
local counters  -- by identity, as read or changed in this call
local requests  -- by id; what is gone stays here with no entries until it is written
local suspense  -- by sequence
local boots     -- by key

local P  -- the prefix that the keys are of
local META, COUNTERS, REQUESTS, BOOTS
local ACTIVE, SILENT            -- boots by last seen
local SUSPENSE, SUSPENSE_ORDER  -- by sequence
local ADJUSTMENTS, ADJUSTMENT_IDS
local POOLS, POOL               -- pools, and the counters of one: by when to look whether they are past
local CALENDARS
local ANSWERS, IN_BOOT          -- of one boot: answers by sequence, requests

local function use_prefix(prefix)
  if P == prefix then return end
  P = prefix
  META, COUNTERS, REQUESTS, BOOTS = P .. 'meta', P .. 'counters', P .. 'requests', P .. 'boots'
  ACTIVE, SILENT = P .. 'boots:active', P .. 'boots:silent'
  SUSPENSE, SUSPENSE_ORDER = P .. 'suspense', P .. 'suspense:order'
  ADJUSTMENTS, ADJUSTMENT_IDS = P .. 'adjustments', P .. 'adjustments:ids'
  POOLS, POOL, CALENDARS = P .. 'pools', P .. 'pool:', P .. 'calendars'
  ANSWERS, IN_BOOT = P .. 'answers:', P .. 'boot:requests:'
end

-- Nothing is left of the call before, not even of one that failed. Returns a reply that ends the call, or nothing.
local function begin(prefix, header_bytes)
  use_math()
  call, pack, unpack_all = redis.call, cmsgpack.pack, cmsgpack.unpack
  use_prefix(prefix)
  header = unpack_all(header_bytes)
  counters, requests, suspense, boots, decisions = {}, {}, {}, {}, 0
  local meta = call('HMGET', META, 'now', 'suspense', 'adjustment', 'calendars', 'tick')
  now = header.now
  if not now then
    local time = call('TIME')
    now = tonumber(time[1]) * SECOND + tonumber(time[2])
  end
  stored_now = tonumber(meta[1] or 0)
  now = max(now, stored_now)  -- never backwards
  stored_suspense = tonumber(meta[2] or 0)
  last_suspense = stored_suspense
  last_adjustment = tonumber(meta[3] or 0)
  last_tick = tonumber(meta[5] or 0)
  -- The windows of calendars are the caller's to say, for every calendar in use and around this time: else it is asked.
  if tonumber(meta[4] or 0) ~= header.calendars_seen then
    return {'calendars', now, call('SMEMBERS', CALENDARS)}
  end
  if now < header.valid_from or now >= header.valid_until then return {'time', now} end
end

local function chunked(command, key, arguments)
  for first = 1, #arguments, ARGUMENTS do
    call(command, key, unpack(arguments, first, min(first + ARGUMENTS - 1, #arguments)))
  end
end

------------------------------------------------------------------------------------------------------- counters

local function window_at(c, time)
  if c.calendar == '' then
    local start = time - time % c.length
    return start, start + c.length
  end
  local bounds = header.calendars[c.calendar]
  for i = 1, #bounds - 1 do
    if time >= bounds[i] and time < bounds[i + 1] then return bounds[i], bounds[i + 1] end
  end
  error('no window of the calendar ' .. c.calendar)
end

local function turn(c)
  if now < c.stop then return end
  local past = c.stop
  c.start, c.stop = window_at(c, now)
  local next = c.sliding and c.start == past
  c.previous = next and c.settled or 0
  c.previous_high, c.previous_low = next and c.suspense_high or 0, next and c.suspense_low or 0
  c.settled, c.suspense_high, c.suspense_low = 0, 0, 0
end

-- The stored counter, turned; nil when there is none.
local function known_counter(id)
  local c = counters[id]
  if c then return c end
  local stored = call('HGET', COUNTERS, id)
  if not stored then return nil end
  c = {id = id, stored = true}
  c.start, c.stop, c.settled, c.previous, c.held_high, c.held_low, c.suspense_high, c.suspense_low, c.previous_high,
    c.previous_low, c.era, c.references, c.length, c.sliding, c.calendar, c.unit, c.pool = unpack_all(stored)
  c.past = c.stop + (c.sliding and c.stop - c.start or 0) <= now
  counters[id] = c
  turn(c)
  return c
end

-- spec: {identity, pool, length in microseconds, sliding, calendar, unit}
local function counter_of(spec)
  local c = known_counter(spec[1])
  if c then return c end
  c = {id = spec[1], pool = spec[2], length = spec[3], sliding = spec[4], calendar = spec[5], unit = spec[6],
       settled = 0, previous = 0, held_high = 0, held_low = 0, suspense_high = 0, suspense_low = 0, previous_high = 0,
       previous_low = 0, era = 0, references = 0}
  c.start, c.stop = window_at(c, now)
  counters[c.id] = c
  return c
end

local function reset_at(c)
  return c.sliding and c.stop + (c.stop - c.start) or c.stop
end

local function weighed(c, amount)
  if amount == 0 then return 0 end
  return scale_up(amount, c.stop - now, c.stop - c.start)
end

local function settled_of(c) return add(c.settled, weighed(c, c.previous)) end
local function suspended_of(c)
  return add(sum_value(c.suspense_high, c.suspense_low), weighed(c, sum_value(c.previous_high, c.previous_low)))
end
local function held_of(c) return sum_value(c.held_high, c.held_low) end
local function counted_of(c) return add(settled_of(c), suspended_of(c)) end
local function used_of(c) return add(counted_of(c), held_of(c)) end
-- What others use, where `own` of the holds is not counted.
local function used_beside(c, own) return add(counted_of(c), sum_value(sum_add(c.held_high, c.held_low, -own))) end

local function add_settled(c, window, amount)
  if window == c.start then
    c.settled = amount < 0 and max(c.settled + amount, 0) or add(c.settled, amount)
  elseif c.sliding and window == c.start - (c.stop - c.start) then
    c.previous = amount < 0 and max(c.previous + amount, 0) or add(c.previous, amount)
  end
  c.dirty = true
end

local function add_suspense(e, c, amount)
  if e.era ~= c.era then return end
  if e.window == c.start then
    c.suspense_high, c.suspense_low = sum_add(c.suspense_high, c.suspense_low, amount)
  elseif c.sliding and e.window == c.start - (c.stop - c.start) then
    c.previous_high, c.previous_low = sum_add(c.previous_high, c.previous_low, amount)
  end
  c.dirty = true
end

local function view_of(c)
  return {settled_of(c), held_of(c), suspended_of(c), reset_at(c), used_of(c)}
end

------------------------------------------------------------------------------------------------------- suspense

local function suspended_hold(sequence)
  local hold = suspense[sequence]
  if hold then return hold end
  local stored = call('HGET', SUSPENSE, sequence)
  if not stored then return nil end
  hold = {}
  hold.request, hold.proxy, hold.boot, hold.counter, hold.amount, hold.time, hold.resolved, hold.settled, hold.weighs =
    unpack_all(stored)
  suspense[sequence] = hold
  return hold
end

-- How long after it was used at the latest an amount stops counting.
local function weighs_at_most(c)
  if c.calendar == '' then return c.sliding and 2 * c.length or c.length end
  return c.calendar:sub(1, 1) == 'd' and 2 * DAY or 32 * DAY
end

------------------------------------------------------------------------------------------------------- requests

local function request_of(id)
  local r = requests[id]
  if r == nil then
    local stored = call('HGET', REQUESTS, id)
    if stored then
      local fields = unpack_all(stored)
      r = {id = id, boot = fields[1], stored_boot = fields[1]}
      for i = 2, #fields do
        local f = fields[i]
        r[i - 1] = {counter = f[1], window = f[2], charge = f[3], shadow = f[4], amount = f[5], strict = f[6],
                    suspense = f[7], era = f[8]}
      end
    else
      r = {id = id}
    end
    requests[id] = r
  end
  return r
end

local function entry_of(r, id)
  for i = 1, #r do
    if r[i].counter == id then return r[i], i end
  end
end

local function add_held(e, amount)
  local c = known_counter(e.counter)
  e.amount = add(e.amount, amount)
  if e.suspense == 0 then
    c.held_high, c.held_low = sum_add(c.held_high, c.held_low, amount)
    c.dirty = true
    return
  end
  add_suspense(e, c, amount)
  local hold = suspended_hold(e.suspense)
  if hold then
    hold.amount, hold.dirty = e.amount, true
  end
end

-- Ends as `used`, in the window that granted it. What was suspended before a reset is forgiven.
local function end_hold(e, used)
  local c, held = known_counter(e.counter), e.amount
  add_held(e, -held)
  if e.suspense ~= 0 then
    local hold = suspended_hold(e.suspense)
    if hold then
      hold.resolved, hold.settled, hold.amount, hold.dirty = true, used, held, true
    end
  end
  if e.suspense == 0 or e.era == c.era then add_settled(c, e.window, used) end
end

local function release(e)
  if e.charge then return end
  local c = known_counter(e.counter)
  c.references, c.dirty = c.references - 1, true
end

local function erase_entry(r, index)
  release(r[index])
  table.remove(r, index)
  r.dirty = true
end

------------------------------------------------------------------------------------------------------- boots

local function read_boot(key)
  local stored = call('HGET', BOOTS, key)
  if not stored then return nil end
  local b = {key = key, answers = {}}
  b.proxy, b.id, b.seen, b.acked, b.suspended, b.count, b.last = unpack_all(stored)
  b.was_active = not b.suspended
  b.was_silent = b.suspended
  return b
end

local function boot_of(key, proxy, id)
  local b = boots[key]
  if not b then
    b = read_boot(key) or {key = key, proxy = proxy, id = id, acked = 0, count = 0, last = 0, answers = {}}
    b.acked_before = b.acked
    boots[key] = b
  end
  return b
end

-- Answers are records {answer, cancellable, cancelled, request id, effects}, where an answer is {sequence, result,
-- denied index, output cap, message, limits} and an effect {counter, window, charge, created, amount, era}.
local function record_of(b, sequence)
  local record = b.answers[sequence]
  if record then return record end
  if sequence > b.last then return nil end
  local stored = call('HGET', ANSWERS .. b.key, sequence)
  if not stored then return nil end
  record = unpack_all(stored)
  b.answers[sequence] = record
  return record
end

local function keep(b, sequence, record)
  record.dirty = true
  b.answers[sequence] = record
  b.added = (b.added or 0) + 1
  if sequence > b.last then b.last = sequence end
end

local function drop_acked(b)
  if b.acked == b.acked_before then return end
  local gone, key = {}, ANSWERS .. b.key
  if min(b.acked, b.last) - b.acked_before <= 2 * b.count + 100 then
    for sequence = b.acked_before + 1, min(b.acked, b.last) do gone[#gone + 1] = sequence end
  else
    for _, sequence in ipairs(call('HKEYS', key)) do
      if tonumber(sequence) <= b.acked then gone[#gone + 1] = sequence end
    end
  end
  chunked('HDEL', key, gone)
  b.acked_before = b.acked
  b.count = call('HLEN', key)
end

local function advance_acked(b, acked)
  if acked <= b.acked then return end
  b.acked = acked
  for sequence in pairs(b.answers) do
    if sequence <= acked then
      if b.answers[sequence].fresh then b.added = b.added - 1 end
      b.answers[sequence] = nil
    end
  end
end

------------------------------------------------------------------------------------------------------- acquire

local function line_of(bound, unit)
  if unit == TOKENS_UNIT then return {bound[5], 1000000, bound[3], bound[4]} end
  return {bound[1], bound[2], bound[3], bound[4]}
end

local function clip(line, cap)
  return line[3] > 0 and min(cap, line[3]) or cap
end

local function largest_bound(lines, cap)
  local largest = 0
  for i = 1, #lines do
    local l = lines[i]
    largest = max(largest, bound_at(l[1], l[4], clip(l, cap), l[2]))
  end
  return largest
end

local function largest_cap(lines, amount, asked)
  local cap = asked
  for i = 1, #lines do
    local l = lines[i]
    local fits = largest_cap_within(amount, l[1], l[4], l[2])
    if fits < clip(l, cap) then cap = fits end
  end
  return cap
end

local function minimum_hold(lines, asked)
  return largest_bound(lines, min(asked, header.minimum_output_tokens))
end

-- The cap, perhaps lowered, where the hold passes; nil where it does not.
local function hold_passes(asked, client_cap, own, candidate, cap)
  local c = candidate.counter
  if own and own.suspense ~= 0 then return nil end
  if candidate.observed and counted_of(c) >= candidate.limit then return nil end
  if candidate.strict == 0 then return cap end
  local room = candidate.strict - used_beside(c, own and own.amount or 0)
  local minimum = minimum_hold(candidate.lines, asked)
  local kept = (not own or own.shadow) and 0 or own.amount
  if room < max(minimum, kept) then return nil end
  if client_cap and largest_bound(candidate.lines, asked) <= room then return cap end
  local ceiling = min(room, max(floor(candidate.strict / header.cap_share_of_limit), minimum))
  return min(cap, largest_cap(candidate.lines, ceiling, asked))
end

local function tighten(candidate, limit)
  if limit > 0 and (candidate.strict == 0 or limit < candidate.strict) then candidate.strict = limit end
end

-- As hold_passes, for any candidate given those that passed before it.
local function passes(asked, client_cap, bounds, r, passed, candidate, cap)
  local own = entry_of(r, candidate.counter.id)
  if not candidate.holds then
    if own then return cap end
    for i = 1, #passed do
      if passed[i].counter == candidate.counter then return cap end
    end
    candidate.shadow_denied = settled_of(candidate.counter) >= candidate.limit
    return (candidate.shadow or not candidate.shadow_denied) and cap or nil
  end
  if not candidate.observed then tighten(candidate, candidate.limit) end
  local lines = {}
  for _, index in ipairs(candidate.indexes) do
    lines[#lines + 1] = line_of(bounds[index + 1], candidate.counter.unit)
  end
  candidate.lines = lines
  if candidate.shadow then
    candidate.shadow_denied = hold_passes(asked, client_cap, own, candidate, cap) == nil
    candidate.strict = 0
    return cap
  end
  if own then tighten(candidate, own.strict) end
  for i = 1, #passed do
    local earlier = passed[i]
    if earlier.counter == candidate.counter and not earlier.shadow then
      tighten(candidate, earlier.strict)
      for j = 1, #earlier.lines do lines[#lines + 1] = earlier.lines[j] end
    end
  end
  return hold_passes(asked, client_cap, own, candidate, cap)
end

local function take(r, candidate, cap, effects)
  local c = candidate.counter
  local hold = candidate.holds and largest_bound(candidate.lines, cap) or 1
  local e = entry_of(r, c.id)
  local created = not e
  if e then
    if not candidate.holds or (candidate.shadow and not e.shadow) then return end
    r.dirty = true
    if candidate.strict > 0 then e.strict = candidate.strict end
    local replaces = e.shadow and not candidate.shadow
    e.shadow = e.shadow and candidate.shadow
    if hold == e.amount or (hold < e.amount and not replaces) then return end
  else
    e = {counter = c.id, window = c.start, charge = not candidate.holds, shadow = candidate.shadow, amount = 0,
         strict = candidate.strict, suspense = 0, era = c.era}
    r[#r + 1] = e
    if candidate.holds then c.references = c.references + 1 end
  end
  r.dirty, c.dirty = true, true
  local added = hold - e.amount
  if candidate.holds then
    add_held(e, added)
  else
    e.amount = 1
    c.settled = add(c.settled, 1)
  end
  effects[#effects + 1] = {c.id, e.window, e.charge, created, added, c.era}
end

local function put_state(limits, candidate, r, retry)
  local c = candidate.counter
  local used = settled_of(c)
  local held = 0
  if candidate.holds then
    used = add(used, suspended_of(c))
    if not candidate.observed then used = add(used, held_of(c)) end
    local own = entry_of(r, c.id)
    held = own and own.amount or 0
  end
  local n = #limits
  limits[n + 1] = candidate.limit
  limits[n + 2] = max(candidate.limit - used, 0)
  limits[n + 3] = reset_at(c)
  limits[n + 4] = held
  limits[n + 5] = candidate.shadow and candidate.shadow_denied and 1 or 0
  limits[n + 6] = retry
end

local function remains_when_fits(weighing, room, length)
  return min((scale(room, length, weighing)), length)
end

local function retry_at(asked, denied)
  local c = denied.counter
  local strict = denied.holds and denied.strict > 0
  local limit = strict and denied.strict or denied.limit
  local need = strict and max(minimum_hold(denied.lines, asked), 1) or 1
  local room = limit - need
  if room < 0 then return reset_at(c) end
  if (denied.holds and counted_of(c) or settled_of(c)) <= room then return now + SECOND end
  if not c.sliding then return c.stop end
  local length = c.stop - c.start
  local current = denied.holds and add(c.settled, sum_value(c.suspense_high, c.suspense_low)) or c.settled
  if current <= room then
    local previous = denied.holds and add(c.previous, sum_value(c.previous_high, c.previous_low)) or c.previous
    -- Settled and suspended are rounded up apart: together they may be a unit more than reckoned here.
    return max(c.stop - remains_when_fits(previous, room - current, length), now + 1)
  end
  return c.stop + length - remains_when_fits(current, room, length)
end

local function refuse(answer, message)
  answer[2], answer[5] = INVALID, message
end

-- {sequence, kind, request id, output cap, client's, checks, bounds}, a check {counter, limit, observed, shadow, bounds}
local function acquire(b, command, record, specs)
  local answer, asked, client_cap, bounds = record[1], command[4], command[5], command[7]
  local r = request_of(command[3])
  if #r > 0 and r.boot ~= b.key then
    return refuse(answer, 'request ' .. command[3] .. ' belongs to another proxy')
  end
  local cap, passed, denied = asked, {}, nil
  for _, check in ipairs(command[6]) do
    local counter = counter_of(specs[check[1]])
    local candidate = {counter = counter, limit = check[2], observed = check[3], shadow = check[4], indexes = check[5],
                       holds = counter.unit ~= REQUESTS_UNIT, strict = 0, shadow_denied = false}
    local lowered = passes(asked, client_cap, bounds, r, passed, candidate, cap)
    if lowered == nil then
      denied = candidate
      break
    end
    cap = lowered
    passed[#passed + 1] = candidate
  end
  if #passed > 0 then
    r.boot = b.key
    for i = 1, #passed do take(r, passed[i], cap, record[5]) end
    record[4] = r.id
  end
  local limits = answer[6]
  answer[2], answer[4] = denied and DENIED or GRANTED, cap
  for i = 1, #passed do put_state(limits, passed[i], r, 0) end
  if denied then
    answer[3] = #passed
    put_state(limits, denied, r, retry_at(asked, denied))
  end
end

------------------------------------------------------------------------------------------------------- the others

-- {sequence, kind, request id, nano-dollars, tokens}
local function extend(b, command, record)
  local answer, r = record[1], request_of(command[3])
  answer[2] = DENIED
  if #r == 0 then
    answer[5] = 'request ' .. command[3] .. ' has no hold'
    return
  end
  if r.boot ~= b.key then return refuse(answer, 'request ' .. command[3] .. ' belongs to another proxy') end
  local index = 0
  for i = 1, #r do
    local e = r[i]
    if not e.charge then
      local c = known_counter(e.counter)
      local required = c.unit == TOKENS_UNIT and command[5] or command[4]
      local after = add(used_beside(c, e.suspense == 0 and e.amount or 0), max(e.amount, required))
      if e.suspense ~= 0 or (required > e.amount and e.strict > 0 and after > e.strict) then
        answer[3] = index
        answer[5] = e.suspense ~= 0 and 'the hold was suspended while its proxy was silent'
          or 'the next attempt does not fit under a strict limit'
        return
      end
      index = index + 1
    end
  end
  record[4] = r.id
  local limits = answer[6]
  for i = 1, #r do
    local e = r[i]
    if not e.charge then
      local c = known_counter(e.counter)
      local added = (c.unit == TOKENS_UNIT and command[5] or command[4]) - e.amount
      if added > 0 then
        add_held(e, added)
        r.dirty = true
        record[5][#record[5] + 1] = {c.id, e.window, false, false, added, c.era}
      end
      local n = #limits
      limits[n + 1] = e.strict
      limits[n + 2] = e.strict == 0 and 0 or max(e.strict - used_of(c), 0)
      limits[n + 3] = reset_at(c)
      limits[n + 4] = e.amount
      limits[n + 5] = 0
      limits[n + 6] = 0
    end
  end
  answer[2] = GRANTED
end

-- {sequence, kind, request id, nano-dollars, tokens}
local function settle(command, answer)
  answer[2] = GRANTED
  local r = request_of(command[3])
  for i = 1, #r do
    local e = r[i]
    if not e.charge then end_hold(e, known_counter(e.counter).unit == TOKENS_UNIT and command[5] or command[4]) end
    release(e)
  end
  for i = #r, 1, -1 do r[i] = nil end
  r.dirty = true
end

local function undo(record)
  if #record[5] == 0 then return end
  local r = request_of(record[4])
  for _, effect in ipairs(record[5]) do
    local id, window, charge, created, amount, era = effect[1], effect[2], effect[3], effect[4], effect[5], effect[6]
    local c = known_counter(id)  -- gone: its windows are past
    if c and charge and era == c.era then add_settled(c, window, -1) end
    local e, index = entry_of(r, id)
    if e then
      r.dirty = true
      if not charge then add_held(e, -min(amount, e.amount)) end
      if created then
        if not charge then end_hold(e, 0) end
        erase_entry(r, index)
      end
    end
  end
end

-- {sequence, kind, the sequence to cancel}
local function cancel(b, command, answer)
  local target = command[3]
  if target == 0 or target == command[1] then return refuse(answer, 'the cancel names no other sequence') end
  if target <= b.acked then
    answer[2] = UNKNOWN_SEQUENCE
    return
  end
  local known = record_of(b, target)
  if known and not known[2] and not known[3] then
    return refuse(answer, 'only an acquire or an extend can be cancelled')
  end
  if known and known[2] then undo(known) end
  local tombstone = {{target, DENIED, 0, 0, 'cancelled by its proxy', {}}, false, true, '', {}}
  if known then
    tombstone.fresh, tombstone.dirty = known.fresh, true
    b.answers[target] = tombstone
  else
    tombstone.fresh = true
    keep(b, target, tombstone)
  end
  answer[2] = GRANTED
end

local function evaluate(b, command, record, specs)
  local answer, kind = record[1], command[2]
  if kind == 'acquire' then
    decisions, record[2] = decisions + 1, true
    acquire(b, command, record, specs)
  elseif kind == 'extend' then
    decisions, record[2] = decisions + 1, true
    extend(b, command, record)
  elseif kind == 'settle' then
    settle(command, answer)
  elseif kind == 'cancel' then
    cancel(b, command, answer)
  elseif kind == 'force' then
    local c = counter_of(specs[command[3]])
    c.settled, c.dirty = add(c.settled, command[4]), true
    answer[2] = GRANTED
  else  -- 'fault': found malformed before it came here; {sequence, kind, message, an acquire or extend}
    if command[4] then
      decisions, record[2] = decisions + 1, true
    end
    refuse(answer, command[3])
  end
end

local function answer_to(b, command, specs)
  local sequence = command[1]
  local answer = {sequence, INVALID, 0, 0, '', {}}
  if command[2] == 'refused' then  -- {sequence, kind, message}: not to be remembered
    answer[5] = command[3]
    return answer
  end
  if sequence <= b.acked then
    answer[2] = UNKNOWN_SEQUENCE
    return answer
  end
  local known = record_of(b, sequence)
  if known then return known[1] end
  if b.count + (b.added or 0) >= header.answers_max then
    drop_acked(b)
    if b.count + (b.added or 0) >= header.answers_max then
      answer[5] = string.format('more than %d answers are not acknowledged', header.answers_max)
      return answer
    end
  end
  local record = {answer, false, false, '', {}}
  record.fresh = true
  evaluate(b, command, record, specs)
  keep(b, sequence, record)
  return answer
end

------------------------------------------------------------------------------------------------------- writing

local function flush_counters()
  local writes, calendars = {}, {}
  for id, c in pairs(counters) do
    if c.dirty then
      writes[#writes + 1] = id
      writes[#writes + 1] = pack(c.start, c.stop, c.settled, c.previous, c.held_high, c.held_low, c.suspense_high,
        c.suspense_low, c.previous_high, c.previous_low, c.era, c.references, c.length, c.sliding, c.calendar, c.unit,
        c.pool)
      if not c.stored then
        local look = reset_at(c)
        call('ZADD', POOL .. c.pool, look, id)
        call('ZADD', POOLS, 'LT', look, c.pool)
        if c.calendar ~= '' then calendars[c.calendar] = true end
        c.stored = true
      end
      c.dirty = false
    end
  end
  chunked('HSET', COUNTERS, writes)
  for calendar in pairs(calendars) do
    if call('SADD', CALENDARS, calendar) == 1 then call('HINCRBY', META, 'calendars', 1) end
  end
end

local function flush_requests()
  local writes, gone, enter, leave = {}, {}, {}, {}
  local function put(lists, boot, ...)
    local list = lists[boot]
    if not list then
      list = {}
      lists[boot] = list
    end
    for i = 1, select('#', ...) do list[#list + 1] = select(i, ...) end
  end
  for id, r in pairs(requests) do
    if r.dirty then
      r.dirty = false
      if #r > 0 then
        local fields = {r.boot}
        for i = 1, #r do
          local e = r[i]
          fields[i + 1] = {e.counter, e.window, e.charge, e.shadow, e.amount, e.strict, e.suspense, e.era}
        end
        writes[#writes + 1] = id
        writes[#writes + 1] = pack(fields)
        if r.stored_boot ~= r.boot then
          if r.stored_boot then put(leave, r.stored_boot, id) end
          put(enter, r.boot, 0, id)
          r.stored_boot = r.boot
        end
      elseif r.stored_boot then
        gone[#gone + 1] = id
        put(leave, r.stored_boot, id)
        r.stored_boot = nil
      end
    end
  end
  chunked('HSET', REQUESTS, writes)
  chunked('HDEL', REQUESTS, gone)
  for boot, ids in pairs(leave) do chunked('ZREM', IN_BOOT .. boot, ids) end
  for boot, ids in pairs(enter) do chunked('ZADD', IN_BOOT .. boot, ids) end
end

local function flush_boots()
  local writes = {}
  for key, b in pairs(boots) do
    drop_acked(b)
    local answers = {}
    for sequence, record in pairs(b.answers) do
      if record.dirty then
        answers[#answers + 1] = sequence
        answers[#answers + 1] = pack({record[1], record[2], record[3], record[4], record[5]})
        record.dirty, record.fresh = false, false
      end
    end
    chunked('HSET', ANSWERS .. key, answers)
    b.count, b.added = b.count + (b.added or 0), 0
    writes[#writes + 1] = key
    writes[#writes + 1] = pack(b.proxy, b.id, b.seen, b.acked, b.suspended, b.count, b.last)
    if b.suspended then
      if b.was_active then call('ZREM', ACTIVE, key) end
      call('ZADD', SILENT, b.seen, key)
    else
      if b.was_silent then call('ZREM', SILENT, key) end
      call('ZADD', ACTIVE, b.seen, key)
    end
    b.was_active, b.was_silent = not b.suspended, b.suspended
  end
  chunked('HSET', BOOTS, writes)
end

local function flush_suspense()
  local writes, order = {}, {}
  for sequence, hold in pairs(suspense) do
    if hold.dirty then
      hold.dirty = false
      writes[#writes + 1] = sequence
      writes[#writes + 1] = pack(hold.request, hold.proxy, hold.boot, hold.counter, hold.amount, hold.time,
        hold.resolved, hold.settled, hold.weighs)
      if hold.fresh then
        hold.fresh = false
        order[#order + 1] = sequence
        order[#order + 1] = sequence
      end
    end
  end
  chunked('HSET', SUSPENSE, writes)
  chunked('ZADD', SUSPENSE_ORDER, order)
end

local function flush()
  flush_counters()
  flush_requests()
  flush_suspense()
  flush_boots()
  if now > stored_now then call('HSET', META, 'now', string.format('%.0f', now)) end
  if last_suspense > stored_suspense then call('HSET', META, 'suspense', string.format('%.0f', last_suspense)) end
  stored_now, stored_suspense = now, last_suspense
end

------------------------------------------------------------------------------------------------------- operations

local operations = {}

-- {counters, messages}, a message {boot key, proxy id, boot id, acked through, commands}
function operations.apply(body)
  local specs, answers = body[1], {}
  for m, message in ipairs(body[2]) do
    local b = boot_of(message[1], message[2], message[3])
    b.seen, b.suspended = now, false
    advance_acked(b, message[4])
    local given = {}
    for i, command in ipairs(message[5]) do given[i] = answer_to(b, command, specs) end
    answers[m] = given
  end
  flush()
  return {'answers', now, answers, decisions}
end

local function suspend(b)
  b.suspended = true
  for _, id in ipairs(call('ZRANGE', IN_BOOT .. b.key, 0, -1)) do
    local r = request_of(id)
    for i = #r, 1, -1 do
      local e = r[i]
      if e.charge then
        erase_entry(r, i)
      elseif e.suspense == 0 then
        local c = known_counter(e.counter)
        c.held_high, c.held_low = sum_add(c.held_high, c.held_low, -e.amount)
        c.dirty, r.dirty = true, true
        last_suspense = last_suspense + 1
        e.suspense, e.era = last_suspense, c.era
        add_suspense(e, c, e.amount)
        suspense[e.suspense] = {request = id, proxy = b.proxy, boot = b.id, counter = c.id, amount = e.amount,
                                time = now, resolved = false, settled = 0, weighs = weighs_at_most(c), fresh = true,
                                dirty = true}
      end
    end
  end
end

-- Byte by byte: Redis compares strings as its locale does.
local function before(x, y)
  for i = 1, min(#x, #y) do
    local a, b = x:byte(i), y:byte(i)
    if a ~= b then return a < b end
  end
  return #x < #y
end

local function forget_suspense(budget)
  local count = call('ZCARD', SUSPENSE_ORDER)
  for _, text in ipairs(call('ZRANGE', SUSPENSE_ORDER, 0, budget - 1)) do
    local sequence = tonumber(text)
    local hold = suspended_hold(sequence)
    local age = now - hold.time
    local past = age >= header.suspense_retention and (hold.resolved or age >= hold.weighs)
    if not past and count <= header.suspense_max then return false end
    if not hold.resolved then
      local r = request_of(hold.request)
      for i = 1, #r do
        if r[i].suspense == sequence then
          end_hold(r[i], r[i].amount)
          erase_entry(r, i)
          break
        end
      end
    end
    suspense[sequence] = nil
    call('HDEL', SUSPENSE, sequence)
    call('ZREM', SUSPENSE_ORDER, sequence)
    count = count - 1
  end
  return count > 0
end

local function forget_boots()
  local past = string.format('%.0f', now - header.boot_retention)
  for _, key in ipairs(call('ZRANGEBYSCORE', SILENT, '-inf', past)) do
    if call('ZCARD', IN_BOOT .. key) == 0 then
      call('HDEL', BOOTS, key)
      call('ZREM', SILENT, key)
      call('DEL', ANSWERS .. key)
    end
  end
end

-- A counter whose windows are past and which nothing holds equals one never used.
local function collect_counters(budget)
  local time = string.format('%.0f', now)
  for _, pool in ipairs(call('ZRANGEBYSCORE', POOLS, '-inf', time, 'LIMIT', 0, budget)) do
    local gone = {}
    for _, id in ipairs(call('ZRANGEBYSCORE', POOL .. pool, '-inf', time, 'LIMIT', 0, budget)) do
      budget = budget - 1
      local c = known_counter(id)
      if not c or (c.past and c.references == 0) then
        gone[#gone + 1] = id
        counters[id] = nil
      else
        call('ZADD', POOL .. pool, reset_at(c), id)
      end
    end
    chunked('HDEL', COUNTERS, gone)
    chunked('ZREM', POOL .. pool, gone)
    local first = call('ZRANGE', POOL .. pool, 0, 0, 'WITHSCORES')
    if first[1] then
      call('ZADD', POOLS, first[2], pool)
    else
      call('ZREM', POOLS, pool)
    end
    if budget <= 0 then return true end
  end
  return false
end

-- Suspends the silent, forgets the past. Any service may ask at any time. {budget}
function operations.tick(body)
  -- Nobody ticked: no service was there for a proxy to be heard by, and its silence is not its own.
  local away = now - last_tick >= header.tick_gap
  if away then
    for _, key in ipairs(call('ZRANGE', ACTIVE, 0, -1)) do boot_of(key).seen = now end
    flush()
  end
  local silent = call('ZRANGEBYSCORE', ACTIVE, '-inf', string.format('%.0f', now - header.suspend_after))
  table.sort(silent, before)
  for _, key in ipairs(silent) do suspend(boot_of(key)) end
  flush()
  local more = forget_suspense(body[1])
  flush()
  boots = {}
  forget_boots()
  more = collect_counters(body[1]) or more
  call('HSET', META, 'tick', string.format('%.0f', now), 'now', string.format('%.0f', now))
  return {'ticked', now, more, call('HLEN', COUNTERS), call('HLEN', REQUESTS), away}
end

-- {spec}
function operations.get(body)
  return {'counter', now, view_of(counter_of(body[1]))}
end

-- {pool, first, last}: by rank
function operations.list(body)
  local list = {}
  for _, id in ipairs(call('ZRANGE', POOL .. body[1], body[2], body[3])) do
    local c = known_counter(id)
    if c then list[#list + 1] = {id, view_of(c)} end
    counters[id] = nil
  end
  return {'counters', now, list, call('ZCARD', POOL .. body[1])}
end

-- {after sequence, page size}
function operations.suspense(body)
  local list = {}
  for _, sequence in ipairs(call('ZRANGEBYSCORE', SUSPENSE_ORDER, string.format('(%.0f', body[1]), '+inf', 'LIMIT', 0,
                                 body[2])) do
    list[#list + 1] = {tonumber(sequence), unpack_all(call('HGET', SUSPENSE, sequence))}
  end
  return {'suspense', now, list}
end

-- {id, the request, spec, reset, delta}
function operations.adjust(body)
  local known = call('HGET', ADJUSTMENT_IDS, body[1])
  if known then
    return {'adjustment', now, {tonumber(known), unpack_all(call('HGET', ADJUSTMENTS, known))}}
  end
  local c = counter_of(body[3])
  local before_it = view_of(c)
  if body[4] then
    c.era = c.era + 1
    c.settled, c.previous = 0, 0
    c.suspense_high, c.suspense_low, c.previous_high, c.previous_low = 0, 0, 0, 0
  else
    c.settled = body[5] < 0 and max(c.settled + body[5], 0) or add(c.settled, body[5])
  end
  c.dirty = true
  last_adjustment = last_adjustment + 1
  local record = {now, body[2], before_it, view_of(c), body[1]}
  flush()
  call('HSET', ADJUSTMENTS, last_adjustment, pack(unpack(record)))
  call('HSET', ADJUSTMENT_IDS, body[1], last_adjustment)
  call('HSET', META, 'adjustment', last_adjustment)
  local oldest = last_adjustment - header.adjustments_max
  local forgotten = oldest > 0 and call('HGET', ADJUSTMENTS, oldest)
  if forgotten then
    local _, _, _, _, id = unpack_all(forgotten)
    call('HDEL', ADJUSTMENT_IDS, id)
    call('HDEL', ADJUSTMENTS, oldest)
  end
  return {'adjustment', now, {last_adjustment, unpack(record)}}
end

-- {after sequence, page size}
function operations.adjustments(body)
  local list = {}
  local first = max(body[1] + 1, last_adjustment - header.adjustments_max + 1, 1)
  for sequence = first, min(last_adjustment, first + body[2] - 1) do
    list[#list + 1] = {sequence, unpack_all(call('HGET', ADJUSTMENTS, sequence))}
  end
  return {'adjustments', now, list}
end

redis.register_function(NAME, function(keys, arguments)
  local ended = begin(keys[1], arguments[2])
  return pack(ended or operations[arguments[1]](unpack_all(arguments[3])))
end)
