-- SPDX-License-Identifier: MIT
--- Elements by index and by mask, ramps, and random choice. A mask is an array of integers (see
--- braid.kernels.comparisons): an element that is 0 leaves its element out. Indices are from 1.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array
local random = require "braid.kernels.random"
local vectors = require "braid.kernels.vectors"

local M = {}

local threads_only = { threads = "integer" }

local function is_array(value) return getmetatable(value) == core.Array end

local function check_array(what, name, value)
  if is_array(value) then return end
  errors.misuse(2, "bad argument '%s' to '%s' (a braid.array expected, got %s)", name, what, errors.described(value))
end

local function threads_of(what, opts)
  errors.check_options(2, what, opts, threads_only)
  return opts and opts.threads
end

-- Indices as an array; a list is copied into one.
local function indices_of(what, indices)
  if type(indices) == "table" then return make_array("i64", indices) end
  check_array(what, "indices", indices)
  return indices
end

---The elements with these indices, in their order. Suspends, except for few.
---@param array braid.Array
---@param indices braid.Array|integer[] of integers
---@param opts { threads: integer? }?
---@return braid.Array of the same type, as long as the indices
function M.take(array, indices, opts)
  check_array("take", "array", array)
  indices = indices_of("take", indices)
  local out = make_array(array:type(), #indices)
  core.selection_take(array, indices, out, threads_of("take", opts))
  return out
end

-- The values for as many indices: one number for all, a list or an array.
local function values_of(what, target, values, count)
  if math.type(values) then return make_array(target:type(), count):fill(values) end
  if type(values) == "table" then return make_array(target:type(), values) end
  check_array(what, "values", values)
  return values
end

---Sets the elements with these indices, in their order: of equal indices the last one counts. Suspends, except for few.
---@param target braid.Array
---@param indices braid.Array|integer[]
---@param values braid.Array|number[]|number
---@return braid.Array target
function M.put(target, indices, values)
  check_array("put", "target", target)
  indices = indices_of("put", indices)
  core.selection_put(target, indices, values_of("put", target, values, #indices), false)
  return target
end

---Adds values to the elements with these indices; equal indices add up, in their order. Suspends, except for few.
---@param target braid.Array
---@param indices braid.Array|integer[]
---@param values braid.Array|number[]|number
---@return braid.Array target
function M.scatter_add(target, indices, values)
  check_array("scatter_add", "target", target)
  indices = indices_of("scatter_add", indices)
  core.selection_put(target, indices, values_of("scatter_add", target, values, #indices), true)
  return target
end

---How many elements of a mask are not 0. Suspends, except for short masks.
---@param mask braid.Array
---@param opts { threads: integer? }?
---@return integer
function M.count(mask, opts)
  check_array("count", "mask", mask)
  return core.selection_count(mask, threads_of("count", opts))
end

---The elements where the mask is not 0. Suspends, except for short arrays.
---@param array braid.Array
---@param mask braid.Array as long as the array
---@param opts { threads: integer? }?
---@return braid.Array
function M.compress(array, mask, opts)
  check_array("compress", "array", array)
  check_array("compress", "mask", mask)
  local threads = threads_of("compress", opts)
  if #mask ~= #array then
    errors.misuse(1, "bad argument 'mask' to 'compress' (%d elements expected, got %d)", #array, #mask)
  end
  local out = make_array(array:type(), core.selection_count(mask, threads))
  core.selection_compress(array, mask, out, threads)
  return out
end

---The indices where the mask is not 0, as i64. Suspends, except for short masks.
---@param mask braid.Array
---@param opts { threads: integer? }?
---@return braid.Array
function M.indices(mask, opts)
  check_array("indices", "mask", mask)
  local threads = threads_of("indices", opts)
  local out = make_array("i64", core.selection_count(mask, threads))
  core.selection_compress(nil, mask, out, threads)
  return out
end

local function check_number(what, name, value)
  if not math.type(value) then
    errors.misuse(2, "bad argument '%s' to '%s' (a number expected, got %s)", name, what, errors.described(value))
  end
end

local linspace_options = { threads = "integer", type = "string" }

---n numbers at equal distances from `from` to `to`, with both ends. Suspends, except for few.
---@param from number
---@param to number
---@param n integer
---@param opts { type: "f64"|"f32"?, threads: integer? }?
---@return braid.Array
function M.linspace(from, to, n, opts)
  check_number("linspace", "from", from)
  check_number("linspace", "to", to)
  n = errors.integer(1, "linspace", "n", n, 0)
  errors.check_options(1, "linspace", opts, linspace_options)
  local out = make_array(opts and opts.type or "f64", n)
  local step = n > 1 and (to - from) / (n - 1) or 0.0
  core.selection_ramp(out, from + 0.0, step, to + 0.0, opts and opts.threads)
  return out
end

---The numbers from `from` to `to` by `step`, `to` included where it is met, as Lua's `for` counts: i64 if from and step
---are integers, else f64. Suspends, except for few.
---@param from number
---@param to number
---@param step number? default 1; not 0
---@param opts { type: string?, threads: integer? }?
---@return braid.Array
function M.arange(from, to, step, opts)
  if step == nil then step = 1 end
  check_number("arange", "from", from)
  check_number("arange", "to", to)
  check_number("arange", "step", step)
  errors.check_options(1, "arange", opts, linspace_options)
  if step == 0 then errors.misuse(1, "bad argument 'step' to 'arange' (not 0)") end
  local whole = math.type(from) == "integer" and math.type(step) == "integer"
  local span = (to - from) / step
  if span ~= span or span >= 2^53 then errors.misuse(1, "arange has too many numbers from %s to %s", from, to) end
  local n = span >= 0 and math.floor(span + (whole and 0 or 1e-10)) + 1 or 0
  local out = make_array(opts and opts.type or (whole and "i64" or "f64"), n)
  core.selection_ramp(out, from, step, nil, opts and opts.threads)
  return out
end

local shuffle_options = { seed = "integer" }

-- The indices 1 to n in random order: the order of random numbers.
local function permutation(n, seed)
  local keys = random.fill_random(make_array("i64", n), { seed = seed or math.random(0) })
  return vectors.sort(keys, { index = true })
end

---Puts the elements into random order, in place. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { seed: integer? }?
---@return braid.Array array
function M.shuffle(array, opts)
  check_array("shuffle", "array", array)
  errors.check_options(1, "shuffle", opts, shuffle_options)
  local shuffled = M.take(array, permutation(#array, opts and opts.seed))
  return array:set(shuffled)
end

local choice_options = { seed = "integer", replace = "boolean" }

---n elements by chance. Suspends, except for few.
---@param array braid.Array with elements
---@param n integer
---@param opts { replace: boolean?, seed: integer? }? replace: whether an element may come again; default true
---@return braid.Array
function M.choice(array, n, opts)
  check_array("choice", "array", array)
  n = errors.integer(1, "choice", "n", n, 0)
  errors.check_options(1, "choice", opts, choice_options)
  local seed = opts and opts.seed or math.random(0)
  if opts and opts.replace == false then
    if n > #array then
      errors.misuse(1, "bad argument 'n' to 'choice' (at most %d without replacement, got %d)", #array, n)
    end
    return M.take(array, permutation(#array, seed):slice(1, n))
  end
  if #array == 0 and n > 0 then errors.misuse(1, "bad argument 'array' to 'choice' (it has no elements)") end
  return M.take(array, random.fill_random(make_array("i64", n), { seed = seed, low = 1, high = math.max(1, #array) }))
end

return M
