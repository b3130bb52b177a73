-- Exact arithmetic for quota_core.lua, where every number is a double: integers from 0 to 2^53 and never beyond.
-- A result that would be larger is SAT, which is above every limit this store accepts.

local floor, min, max
local function use_math()  -- Lua's libraries are there when a function runs, not yet when it is loaded
  floor, min, max = math.floor, math.min, math.max
end

local SAT = 9007199254740992        -- 2^53
local HALF = 4503599627370496       -- 2^52
local LIMB = 16777216               -- 2^24

local function add(a, b)
  if a > SAT - b then return SAT end
  return a + b
end

-- The product of two integers up to 2^53 as five limbs, the least first.
local function product(a, b)
  local a1, b1 = floor(a / LIMB), floor(b / LIMB)
  local a0, b0 = a - a1 * LIMB, b - b1 * LIMB
  local a2, b2 = floor(a1 / LIMB), floor(b1 / LIMB)
  a1, b1 = a1 - a2 * LIMB, b1 - b2 * LIMB
  local r0 = a0 * b0
  local carry = floor(r0 / LIMB)
  r0 = r0 - carry * LIMB
  local r1 = a0 * b1 + a1 * b0 + carry
  carry = floor(r1 / LIMB)
  r1 = r1 - carry * LIMB
  local r2 = a0 * b2 + a1 * b1 + a2 * b0 + carry
  carry = floor(r2 / LIMB)
  r2 = r2 - carry * LIMB
  local r3 = a1 * b2 + a2 * b1 + carry
  carry = floor(r3 / LIMB)
  r3 = r3 - carry * LIMB
  return r0, r1, r2, r3, a2 * b2 + carry
end

-- Whether a * b compares to the five limbs of another product as -1, 0 or 1.
local function compare(a, b, x0, x1, x2, x3, x4)
  local y0, y1, y2, y3, y4 = product(a, b)
  if y4 ~= x4 then return y4 < x4 and -1 or 1 end
  if y3 ~= x3 then return y3 < x3 and -1 or 1 end
  if y2 ~= x2 then return y2 < x2 and -1 or 1 end
  if y1 ~= x1 then return y1 < x1 and -1 or 1 end
  if y0 ~= x0 then return y0 < x0 and -1 or 1 end
  return 0
end

-- floor(a * b / d) and whether it left nothing over. d > 0.
local function scale(a, b, d)
  local p = a * b
  if p < SAT then  -- exact, and so is the quotient's floor below 2^53
    local q = floor(p / d)
    return q, q * d == p
  end
  local x0, x1, x2, x3, x4 = product(a, b)
  local q = floor(a / d * b)  -- within a few of the truth
  if q >= SAT + 64 then return SAT, false end
  if q > SAT then q = SAT end
  local order = compare(q, d, x0, x1, x2, x3, x4)
  while order > 0 do
    q = q - 1
    order = compare(q, d, x0, x1, x2, x3, x4)
  end
  while order < 0 and q < SAT do
    local above = compare(q + 1, d, x0, x1, x2, x3, x4)
    if above > 0 then break end
    q = q + 1
    order = above
  end
  return q, order == 0
end

local function scale_up(a, b, d)
  local q, exact = scale(a, b, d)
  if exact or q >= SAT then return q end
  return q + 1
end

-- input + ceil(choices * cap * per_mtok / 10^6)
local function bound_at(input, choices, cap, per_mtok)
  if choices < 1 then choices = 1 end
  if cap <= 0 or per_mtok == 0 then return input end
  local tokens = choices * cap
  if tokens >= SAT then return SAT end
  return add(input, scale_up(tokens, per_mtok, 1000000))
end

-- The largest cap whose bound is at most `amount`; -1 when not even 0 tokens fit.
local function largest_cap_within(amount, input, choices, per_mtok)
  if amount < input then return -1 end
  if per_mtok == 0 then return SAT end
  if choices < 1 then choices = 1 end
  local per_token = choices * per_mtok
  if per_token < SAT then return (scale(amount - input, 1000000, per_token)) end
  -- floor(x / (m * n)) = floor(floor(x / m) / n); the larger factor first leaves less than 2^53.
  local more, less = max(choices, per_mtok), min(choices, per_mtok)
  return floor(scale(amount - input, 1000000, more) / less)
end

-- Sums of holds pass 2^53, where no strict limit bounds them: high * 2^52 + low. `amount` may be negative.
local function sum_add(high, low, amount)
  local above = floor(amount / HALF)
  low = low + (amount - above * HALF)
  high = high + above
  if low >= HALF then return high + 1, low - HALF end
  return high, low
end

local function sum_value(high, low)
  if high == 0 then return low end
  if high == 1 then return low + HALF end
  return SAT
end
