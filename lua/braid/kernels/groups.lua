-- SPDX-License-Identifier: MIT
--- Values of groups: the elements with equal keys are a group.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array
local comparisons = require "braid.kernels.comparisons"
local selection = require "braid.kernels.selection"
local vectors = require "braid.kernels.vectors"

local M = {}

local function is_array(value) return getmetatable(value) == core.Array end

local function is_float(array)
  local type = array:type()
  return type == "f64" or type == "f32"
end

local function check_array(what, name, value)
  if is_array(value) then return end
  errors.misuse(2, "bad argument '%s' to '%s' (a braid.array expected, got %s)", name, what, errors.described(value))
end

local SAMPLE, DENSE = 65536, 1 << 22

-- The range of keys, guessed from the first ones: low and the number of groups; nil if they are too far apart.
local function guessed_range(keys)
  local sample = #keys > SAMPLE and keys:slice(1, SAMPLE) or keys
  local low, high = vectors.min(sample), vectors.max(sample)
  return low, high
end

local function is_dense(low, high, count)
  local groups = high - low + 1
  return groups > 0 and groups <= math.max(SAMPLE, math.min(DENSE, 4 * count)) and groups
end

-- Calls core.group with these columns: lists { what, values or nil, out }.
local function run(keys, low, groups, columns, threads)
  local list = {}
  for at, column in ipairs(columns) do
    list[3 * at - 2], list[3 * at - 1], list[3 * at] = column[1], column[2] or false, column[3]
  end
  for at = 1, #columns do
    if list[3 * at - 1] == false then list[3 * at - 1] = nil end
  end
  return core.group(keys, low, groups, threads, table.unpack(list, 1, 3 * #columns))
end

-- Groups of integers that are near each other: their range is tried from a sample, then taken from all keys.
local function dense(keys, prepare, threads)
  if is_float(keys) or keys:type() == "u64" or #keys == 0 then return nil end
  local low, high = guessed_range(keys)
  for _ = 1, 2 do
    local groups = is_dense(low, high, #keys)
    if not groups then return nil end
    local columns = prepare(groups)
    if run(keys, low, groups, columns, threads) then return columns, low, groups end
    low, high = vectors.min(keys), vectors.max(keys)
  end
end

local function out_of(what, values, groups)
  local floats = values and is_float(values)
  return { what, values, make_array(floats and "f64" or "i64", groups) }
end

local aggregates = { sum = true, min = true, max = true, first = true, mean = true, count = true }

local function is_kernel(value) return (getmetatable(value) or {}).__name == "braid.kernel" end

-- The results of a kernel for each group, which is called as kernel(n, values of the group, in their order).
local function by_kernel(kernel, keys, values, counts)
  local order = make_array("i64", #keys)
  core.vector_order(keys, order, false)
  local sorted, first = selection.take(values, order), 1
  local results, types = {}, true
  for group = 1, #counts do
    local count = counts[group]
    results[group] = kernel(count, sorted:slice(first, first + count - 1))
    types = types and math.type(results[group]) == "integer"
    first = first + count
  end
  return make_array(types and "i64" or "f64", results)
end

-- The columns of core.group for what is asked: first the count of each group.
local function columns_for(asked, groups)
  local columns = { out_of("count", nil, groups) }
  for _, each in ipairs(asked) do
    if each.what == "first" then
      each.column = out_of("first", nil, groups)
    elseif each.what ~= "count" and not is_kernel(each.what) then
      each.column = out_of(each.what == "mean" and "sum" or each.what, each.values, groups)
    end
    if each.column then columns[#columns + 1] = each.column end
  end
  return columns
end

-- The values of one aggregate, for the groups that exist.
local function result_of(each, keys, counts, keep)
  if each.what == "count" then return counts end
  if is_kernel(each.what) then return by_kernel(each.what, keys, each.values, counts) end
  local out = each.column[3]
  if keep then out = selection.compress(out, keep) end
  if each.what == "mean" then return vectors.map("s / n", { s = out, n = counts }) end
  if each.what == "first" then return selection.take(each.values, out) end
  return out
end

---Groups elements by their keys. `what` has for each result its array: `{ sum = x, mean = y }`; a second table gives
---names of one's own: `{ total = { "sum", x }, best = { "max", y } }`. Results: sum, mean, min, max, first (the
---value of the first element), count; or a kernel that reduces, which is called for each group as kernel(n, values):
---`{ norm = { norm, x } }`. Suspends, except for short arrays.
---@param keys braid.Array
---@param what table<string, braid.Array|{ [1]: string|braid.Kernel, [2]: braid.Array }>
---@param opts { threads: integer? }?
---@return table groups `keys` (sorted), `count` (i64), and an array for each name in `what`, one element a group
function M.group_by(keys, what, opts)
  check_array("group_by", "keys", keys)
  errors.check_options(1, "group_by", opts, { threads = "integer" })
  local asked = {}
  for name, about in pairs(what or {}) do
    local kind, values = name, about
    if type(about) == "table" then kind, values = about[1], about[2] end
    if not aggregates[kind] and not is_kernel(kind) then
      local nearest = type(kind) == "string" and errors.nearest(kind, aggregates)
      errors.misuse(1, "bad argument 'what' to 'group_by' (sum, mean, min, max, first, count or a kernel expected, "
        .. "got %s%s)",
        errors.text(kind), nearest and (": did you mean '%s'?"):format(nearest) or "")
    end
    if kind ~= "count" then check_array("group_by", name, values) end
    if is_array(values) and #values ~= #keys then
      errors.misuse(1, "bad argument '%s' to 'group_by' (%d elements expected, got %d)", name, #keys, #values)
    end
    asked[#asked + 1] = { name = name, what = kind, values = values }
  end
  local threads = opts and opts.threads
  local groups, keep, counts = {}
  local columns, low, size = dense(keys, function(n) return columns_for(asked, n) end, threads)
  if columns then
    keep = comparisons.not_equal(columns[1][3], 0)
    counts = selection.compress(columns[1][3], keep)
    groups.keys = make_array(keys:type(), selection.compress(selection.arange(low, low + size - 1), keep))
  else
    groups.keys = vectors.unique(keys)
    columns = columns_for(asked, #groups.keys)
    run(vectors.searchsorted(groups.keys, keys), 1, #groups.keys, columns, threads)
    counts = columns[1][3]
  end
  groups.count = counts
  for _, each in ipairs(asked) do groups[each.name] = result_of(each, keys, counts, keep) end
  return groups
end

local bincount_options = { weights = "userdata", bins = "integer", zero = "boolean", threads = "integer" }

---Counts small integers: element k of the result is how often k is in the array, or the sum of the weights there.
---Suspends, except for short arrays.
---@param array braid.Array of integers from 1
---@param opts { weights: braid.Array?, bins: integer?, zero: boolean?, threads: integer? }? bins: length of the result
--- (default: the largest element); zero: counts from 0, element k + 1 is that of k
---@return braid.Array i64; with weights that are floats f64
function M.bincount(array, opts)
  check_array("bincount", "array", array)
  errors.check_options(1, "bincount", opts, bincount_options)
  opts = opts or {}
  if is_float(array) then errors.misuse(1, "bad argument 'array' to 'bincount' (an array of integers expected)") end
  if opts.weights then check_array("bincount", "weights", opts.weights) end
  local low = opts.zero and 0 or 1
  local function prepare(bins)
    return { out_of(opts.weights and "sum" or "count", opts.weights, bins) }
  end
  local function try(bins)
    local columns = prepare(bins)
    local ok, bad = run(array, low, bins, columns, opts.threads)
    return ok and columns[1][3], bad
  end
  local bins = opts.bins
  if not bins and #array > SAMPLE then -- a guess, as in group_by
    local _, high = guessed_range(array)
    local found = high >= low and high <= DENSE and try(high - low + 1)
    if found then return found end
  end
  bins = bins or math.max(0, (vectors.max(array) or low - 1) - low + 1)
  local found, bad = try(bins)
  if found then return found end
  errors.misuse(1, "bad argument 'array' to 'bincount' (integers %s expected, element %d is %d)",
    opts.bins and ("from %d to %d"):format(low, low + bins - 1) or ("from %d"):format(low), bad, array[bad])
end

return M
