-- SPDX-License-Identifier: MIT
--- Random numbers in arrays. They depend on the seed, and not on the number of threads.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array

local M = {}

local function check_array(what, name, value)
  if getmetatable(value) == core.Array then return end
  errors.misuse(2, "bad argument '%s' to '%s' (a braid.array expected, got %s)", name, what, errors.described(value))
end

local function is_finite(x) return x - x == 0 end

local fill_options = {
  threads = "integer", seed = "integer", distribution = "string", low = "number", high = "number", mean = "number",
  deviation = "number", n = "integer", p = "number",
}
local random_options = { type = "string" }
for name, expected in pairs(fill_options) do random_options[name] = expected end

local integer_ranges = {
  i64 = { math.mininteger, math.maxinteger }, i32 = { -1 << 31, (1 << 31) - 1 }, i16 = { -1 << 15, (1 << 15) - 1 },
  i8 = { -128, 127 }, u64 = { 0, -1 }, u32 = { 0, (1 << 32) - 1 }, u16 = { 0, (1 << 16) - 1 }, u8 = { 0, 255 },
}

-- Returns low and high of a uniform distribution.
local function borders(array, opts)
  local low, high, range = opts.low, opts.high, integer_ranges[array:type()]
  if not range then
    low, high = low or 0.0, high or 1.0
    if low < high and high - low < math.huge then return low, high end
    errors.misuse(3, "bad options 'low' and 'high' (low < high, both finite, expected, got %s and %s)", tostring(low),
      tostring(high))
  end
  if not low and not high then return range[1], range[2] end
  low, high = math.tointeger(low or 0), math.tointeger(high or range[2])
  if low and high then
    if array:type() == "u64" then
      if not math.ult(high, low) then return low, high end
    elseif range[1] <= low and low <= high and high <= range[2] then
      return low, high
    end
  end
  errors.misuse(3, "bad options 'low' and 'high' (integers of %s, low <= high, expected, got %s and %s)", array:type(),
    tostring(opts.low), tostring(opts.high))
end

local COUNTS_MOST = 1 << 31 -- of tries, and of the mean of counts: beyond, the probabilities lose digits

-- For each distribution: the two numbers that it needs.
local parameters = { uniform = borders }

function parameters.normal(_, opts)
  local mean, deviation = opts.mean or 0.0, opts.deviation or 1.0
  if is_finite(mean) and is_finite(deviation) and deviation >= 0 then return mean, deviation end
  errors.misuse(3, "bad options 'mean' and 'deviation' (finite numbers, deviation >= 0, expected, got %s and %s)",
    tostring(mean), tostring(deviation))
end

function parameters.exponential(_, opts)
  local mean = opts.mean or 1.0
  if is_finite(mean) and mean >= 0 then return mean end
  errors.misuse(3, "bad option 'mean' (a finite number >= 0 expected, got %s)", tostring(mean))
end

function parameters.poisson(_, opts)
  local mean = opts.mean or 1.0
  if mean >= 0 and mean <= COUNTS_MOST then return mean end
  errors.misuse(3, "bad option 'mean' (a number from 0 to 2^31 expected, got %s)", tostring(mean))
end

function parameters.binomial(_, opts)
  local n, p = opts.n or 1, opts.p or 0.5
  if n >= 0 and n <= COUNTS_MOST and p >= 0 and p <= 1 then return n, p end
  errors.misuse(3, "bad options 'n' and 'p' (an integer from 0 to 2^31, and a number from 0 to 1, expected, "
    .. "got %s and %s)", tostring(n), tostring(p))
end

local function fill_random(array, opts)
  local distribution, seed = opts.distribution or "uniform", opts.seed or math.random(0)
  local find = parameters[distribution]
  if not find then
    local nearest = errors.nearest(distribution, parameters)
    errors.misuse(2, "bad option 'distribution' (\"uniform\", \"normal\", \"exponential\", \"poisson\" or "
      .. "\"binomial\" expected, got %q%s)", distribution, nearest and (": did you mean %q?"):format(nearest) or "")
  end
  local a, b = find(array, opts)
  core.vector_random(array, seed, distribution, a, b, opts.threads)
  return array
end

---Fills an array with random numbers. Element i depends only on the seed and i. Uniform floats: low <= x < high (f32
---may round up to high). Uniform integers: low <= x <= high. Normal and exponential numbers in an array of integers
---are rounded to the nearest; poisson and binomial give whole numbers in any array. Suspends, except for short arrays.
---
---The generator is Philox 4x32-10 (Salmon and others, 2011). Normal numbers are by Box and Muller, exponential ones by
---inversion, poisson and binomial ones by inversion for means below 10, else by Hoermann's transformed rejection (PTRS
---and BTRS, 1993).
---@param array braid.Array
---@param opts { seed: integer?, distribution: "uniform"|"normal"|"exponential"|"poisson"|"binomial"|nil, low: number?,
--- high: number?, mean: number?, deviation: number?, n: integer?, p: number?, threads: integer? }? seed: default one
--- from math.random. low, high: default 0 and 1, for integers the range of the type. mean, deviation: default 0 and 1;
--- mean of exponential and poisson: default 1. n tries with probability p: default 1 and 0.5
---@return braid.Array array
function M.fill_random(array, opts)
  check_array("fill_random", "array", array)
  errors.check_options(1, "fill_random", opts, fill_options)
  return (fill_random(array, opts or {})) -- parentheses: no tail call, so errors name this function
end

---Makes an array of n random numbers, like fill_random. Suspends, except for short arrays.
---@param n integer
---@param opts table? those of fill_random, and type: default "f64"
---@return braid.Array
function M.random(n, opts)
  n = errors.integer(1, "random", "n", n, 0)
  errors.check_options(1, "random", opts, random_options)
  opts = opts or {}
  return (fill_random(make_array(opts.type or "f64", n), opts))
end

return M
