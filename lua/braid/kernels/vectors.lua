-- SPDX-License-Identifier: MIT
--- Kernels over arrays (braid.array), on all cores. They suspend the calling task, and the loop goes on.
---
--- Results are the same for any number of threads. Floats are computed as doubles. Sums and products of integers are
--- modulo 2^64, as Lua's are. While a kernel runs, no other code should write to its arrays.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array

local M = {}

local threads_only = { threads = "integer" }

local function is_array(value) return getmetatable(value) == core.Array end

local function is_float(array)
  local type = array:type()
  return type == "f64" or type == "f32"
end

-- The value of opts.threads.
local function threads_of(what, opts)
  errors.check_options(2, what, opts, threads_only)
  return opts and opts.threads
end

local function check_array(what, name, value)
  if is_array(value) then return end
  errors.misuse(2, "bad argument '%s' to '%s' (a braid.array expected, got %s)", name, what, errors.described(value))
end

-- ---- reductions ----------------------------------------------------------------------------------------------------

---The sum. For integers it is an integer. For floats it is a float, whose error is at most
---(38 + log2(n / 1024)) * 2^-53 times the sum of the absolute values. 0 for an empty array. Suspends, except for short
---arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return number
function M.sum(array, opts)
  check_array("sum", "array", array)
  return (core.vector_reduce("sum", array, nil, threads_of("sum", opts)))
end

---The sum of the products a[i] * b[i], with the same error as sum. An integer if both arrays have integers. Suspends,
---except for short arrays.
---@param a braid.Array
---@param b braid.Array as long as a
---@param opts { threads: integer? }?
---@return number
function M.dot(a, b, opts)
  check_array("dot", "a", a)
  check_array("dot", "b", b)
  return (core.vector_reduce("dot", a, b, threads_of("dot", opts)))
end

---The smallest element; NaN if there is one; nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return number?
function M.min(array, opts)
  check_array("min", "array", array)
  return (core.vector_reduce("min", array, nil, threads_of("min", opts)))
end

---The largest element; NaN if there is one; nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return number?
function M.max(array, opts)
  check_array("max", "array", array)
  return (core.vector_reduce("max", array, nil, threads_of("max", opts)))
end

---The index of the first smallest element, or of the first NaN; nil for an empty array. Suspends, except for short
---arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return integer?
function M.argmin(array, opts)
  check_array("argmin", "array", array)
  local _, place = core.vector_reduce("min", array, nil, threads_of("argmin", opts))
  return place
end

---The index of the first largest element, or of the first NaN; nil for an empty array. Suspends, except for short
---arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return integer?
function M.argmax(array, opts)
  check_array("argmax", "array", array)
  local _, place = core.vector_reduce("max", array, nil, threads_of("argmax", opts))
  return place
end

---The mean, a float; nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return number?
function M.mean(array, opts)
  check_array("mean", "array", array)
  local mean = core.vector_reduce("variance", array, nil, threads_of("mean", opts))
  return #array > 0 and mean or nil
end

local var_options = { threads = "integer", ddof = "number" }

---The variance, a float: the sum of the squared differences from the mean, divided by n - ddof. nil unless n > ddof.
---Suspends, except for short arrays.
---@param array braid.Array
---@param opts { ddof: number?, threads: integer? }? ddof: default 0; 1 for the variance of a sample
---@return number?
function M.var(array, opts)
  check_array("var", "array", array)
  errors.check_options(1, "var", opts, var_options)
  local free = #array - (opts and opts.ddof or 0)
  local _, squares = core.vector_reduce("variance", array, nil, opts and opts.threads)
  return free > 0 and #array > 0 and squares / free or nil
end

-- ---- arrays to arrays ----------------------------------------------------------------------------------------------

local scan_options = { threads = "integer", out = "userdata", what = "string" }
local scans = { sum = true, product = true, min = true, max = true }

---Running sums: element i is the sum of the first i elements; or their product, minimum or maximum. Floats give f64,
---integers i64 (u64 gives u64); sums and products of integers are modulo 2^64. Products of floats are computed from
---left to right, by one thread. From a NaN on, minima and maxima are NaN. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { what: "sum"|"product"|"min"|"max"|nil, out: braid.Array?, threads: integer? }? out: the array for the
--- result; may be `array` itself
---@return braid.Array
function M.scan(array, opts)
  check_array("scan", "array", array)
  errors.check_options(1, "scan", opts, scan_options)
  local what = opts and opts.what or "sum"
  if not scans[what] then
    errors.misuse(1, "bad option 'what' to 'scan' (\"sum\", \"product\", \"min\" or \"max\" expected, got %q)", what)
  end
  local type = is_float(array) and "f64" or array:type() == "u64" and "u64" or "i64"
  local out = opts and opts.out or make_array(type, #array)
  core.vector_scan(array, out, opts and opts.threads, what)
  return out
end

local sort_options = {
  threads = "integer", out = "userdata", descending = "boolean", stable = "boolean", index = "boolean",
}

---Sorts an array, by default in place. -0.0 is before 0.0. NaN is last, also in descending order. If a sort is
---cancelled, the content of the result is undefined. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { descending: boolean?, out: braid.Array?, stable: boolean?, index: boolean?, threads: integer? }?
--- out: gets the sorted elements; `array` is not changed. stable: -0.0 and 0.0 count as equal, and equal elements and
--- NaNs keep their order (twice as slow). index: returns the indices of the elements in sorted order, in a new i64
--- array (or `out`); equal elements keep their order, and `array` is not changed
---@return braid.Array result `array`, `out`, or the indices
function M.sort(array, opts)
  check_array("sort", "array", array)
  errors.check_options(1, "sort", opts, sort_options)
  opts = opts or {}
  if opts.index then
    local order = opts.out or make_array("i64", #array)
    core.vector_order(array, order, opts.descending, opts.threads)
    return order
  end
  local out = opts.out or array
  if not (opts.stable and is_float(array)) then
    core.vector_sort(array, out, opts.descending, opts.threads)
    return out
  end
  local order = make_array("i64", #array)
  core.vector_order(array, order, opts.descending, opts.threads)
  local from = out == array and array:copy() or array
  core.vector_take(from, order, out, opts.threads)
  return out
end

local unique_options = { threads = "integer", counts = "boolean" }

---The different elements in ascending order, and with `counts` how often each occurs. All NaN are equal; -0.0 equals
---0.0. Suspends, except for short arrays.
---@param array braid.Array it is not changed
---@param opts { counts: boolean?, threads: integer? }?
---@return braid.Array values of the array's type
---@return braid.Array? counts of i64
function M.unique(array, opts)
  check_array("unique", "array", array)
  errors.check_options(1, "unique", opts, unique_options)
  local threads = opts and opts.threads
  local sorted = make_array(array:type(), #array)
  core.vector_sort(array, sorted, false, threads)
  local found = core.vector_unique(sorted, nil, nil, threads)
  local values = make_array(array:type(), found)
  local counts = opts and opts.counts and make_array("i64", found) or nil
  core.vector_unique(sorted, values, counts, threads)
  return values, counts
end

local histogram_options = { threads = "integer", low = "number", high = "number" }

-- Converts a value to a float, for an array of u64 as that array would: negative integers are those from 2^63 on.
local function as_float(array, value)
  if array:type() == "u64" and math.type(value) == "integer" and value < 0 then
    return ((value >> 1 | value & 1) + 0.0) * 2 -- rounded once
  end
  return value + 0.0
end

local function is_finite(x) return x - x == 0 end

-- Returns the limit: the option if it is given, else the least or largest element; nil if there is none. Then whether
-- it was given.
local function limit_of(array, opts, name, element)
  local given = opts and opts[name]
  if given then
    local limit = as_float(array, given)
    if is_finite(limit) then return limit, true end
    errors.misuse(3, "bad option '%s' to 'histogram' (a finite number expected, got %s)", name, tostring(given))
  end
  local found = core.vector_reduce(element, array, nil, opts and opts.threads)
  if not found then return nil end
  if is_finite(found) then return as_float(array, found) end
  errors.misuse(3, "bad argument 'array' to 'histogram' (finite elements, or the option '%s', expected, got one of %s)",
    name, tostring(found))
end

-- Half a bin's width, for equal elements. It is large enough to change x when it is added.
local function beside(x) return math.max(0.5, math.abs(x) * 2.0 ^ -52) end

-- Raises an error about what the caller gave: low and high are no valid range.
local function refuse_range(low, high, has_low, has_high)
  if has_low and has_high then
    errors.misuse(3, "bad options to 'histogram' (finite numbers low < high expected, got low = %s, high = %s)", low,
      high)
  elseif has_low then
    errors.misuse(3, "bad option 'low' to 'histogram' (a number below the largest element, %s, expected, got %s)",
      high, low)
  elseif has_high then
    errors.misuse(3, "bad option 'high' to 'histogram' (a number above the least element, %s, expected, got %s)",
      low, high)
  end
  errors.misuse(3, "bad argument 'array' to 'histogram' (elements from %s to %s lie further apart than a float holds)",
    low, high)
end

-- The range of a histogram. Given limits are kept.
local function limits(array, opts)
  local low, has_low = limit_of(array, opts, "low", "min")
  local high, has_high = limit_of(array, opts, "high", "max")
  if not low and not high then low, high = 0.0, 1.0 end
  low, high = low or high - 2 * beside(high), high or low + 2 * beside(low)
  if low == high and not (has_low and has_high) then
    local share = (has_low or has_high) and 2 or 1
    if not has_low then low = low - share * beside(low) end
    if not has_high then high = high + share * beside(high) end
  end
  if not (low < high and is_finite(high - low)) then refuse_range(low, high, has_low, has_high) end
  return low, high
end

---Counts how many elements fall into each of `bins` bins of equal width from `low` to `high`. Bin i has the x with
---edges[i] <= x < edges[i + 1]; the last bin also has x = high. edges[i] is low + (i - 1) * (high - low) / bins. Other
---elements, and NaN, are not counted. Suspends, except for short arrays.
---@param array braid.Array
---@param bins integer? 1 to 2^24; default 10
---@param opts { low: number?, high: number?, threads: integer? }? default: the least and the largest element; if all
--- are equal, 0.5 below and above
---@return braid.Array counts of i64
---@return braid.Array edges of f64, bins + 1 of them
function M.histogram(array, bins, opts)
  check_array("histogram", "array", array)
  if bins == nil then bins = 10 end
  bins = errors.integer(1, "histogram", "bins", bins, 1)
  if bins > 1 << 24 then
    errors.misuse(1, "bad argument 'bins' to 'histogram' (an integer from 1 to 2^24 expected, got %s)", tostring(bins))
  end
  errors.check_options(1, "histogram", opts, histogram_options)
  local low, high = limits(array, opts)
  local counts, edges = make_array("i64", bins), make_array("f64", bins + 1)
  core.vector_histogram(array, low, high, counts, edges, opts and opts.threads)
  return counts, edges
end

local search_options = { threads = "integer", side = "string", out = "userdata" }

---Finds where values belong in a sorted array: the smallest i such that the value can be inserted before element i
---(#sorted + 1: at the end). With side = "right" equal elements come before it. NaN is the largest. Suspends, except
---for few values.
---@param sorted braid.Array in ascending order; this is not checked
---@param values braid.Array|number
---@param opts { side: "left"|"right"?, out: braid.Array?, threads: integer? }? out: of i64, as long as values
---@return braid.Array|integer places of i64; an integer for a number
function M.searchsorted(sorted, values, opts)
  check_array("searchsorted", "sorted", sorted)
  errors.check_options(1, "searchsorted", opts, search_options)
  local side = opts and opts.side or "left"
  if side ~= "left" and side ~= "right" then
    errors.misuse(1, "bad option 'side' to 'searchsorted' (\"left\" or \"right\" expected, got %q)", side)
  end
  local single = math.type(values)
  if single then
    values = make_array(single == "float" and "f64" or sorted:type() == "u64" and "u64" or "i64", { values })
  end
  check_array("searchsorted", "values", values)
  local places = opts and opts.out or make_array("i64", #values)
  core.vector_search(sorted, values, side == "right", places, opts and opts.threads)
  return single and places[1] or places
end

-- ---- matrices ------------------------------------------------------------------------------------------------------

local matmul_options = { threads = "integer", out = "userdata", type = "string" }

-- Returns m, k and n. Missing ones are computed from the lengths. If all are missing, both matrices are square.
local function shape_of(a, b, m, k, n)
  if not (m or k or n) then
    local side = math.tointeger((#a) ^ 0.5)
    if not side or #a ~= #b then
      errors.misuse(2, "matmul needs the number of a's rows, unless both are square (a has %d elements, b %d)", #a, #b)
    end
    return side, side, side
  end
  k = k or m and m > 0 and #a // m or n and n > 0 and #b // n or 0
  m = m or k > 0 and #a // k or 0
  n = n or k > 0 and #b // k or 0
  if m * k ~= #a or k * n ~= #b or m < 0 or k < 0 then
    errors.misuse(2, "a of %d x %d and b of %d x %d expected, but a has %d elements, b %d", m, k, k, n, #a, #b)
  end
  return m, k, n
end

---The product of two matrices, which are stored row by row: a is m x k, b is k x n. Missing k and n are computed from m
---and the lengths. Without m both matrices are square. It computes in doubles, also for integers. Whether a product is
---rounded before it is added depends on the processor. Suspends, except for small matrices.
---@param a braid.Array
---@param b braid.Array
---@param m integer? rows of a
---@param k integer? columns of a, rows of b
---@param n integer? columns of b
---@param opts { out: braid.Array?, type: string?, threads: integer? }? may be given in place of m, k or n. out: the
--- array for the result, which must not overlap a or b. type: type of a new array, default "f64"; integers are
--- converted as in map
---@return braid.Array out m x n
---@overload fun(a: braid.Array, b: braid.Array, opts: table?): braid.Array
function M.matmul(a, b, m, k, n, opts)
  check_array("matmul", "a", a)
  check_array("matmul", "b", b)
  local sizes, names = table.pack(m, k, n), { "m", "k", "n" }
  for i = 1, 3 do
    if type(sizes[i]) == "table" and opts == nil then
      opts, sizes[i] = sizes[i], nil
    elseif sizes[i] ~= nil then
      sizes[i] = errors.integer(1, "matmul", names[i], sizes[i], 0)
    end
  end
  errors.check_options(1, "matmul", opts, matmul_options)
  m, k, n = shape_of(a, b, sizes[1], sizes[2], sizes[3])
  local out = opts and opts.out or make_array(opts and opts.type or "f64", m * n)
  core.vector_matmul(a, b, out, m, k, n, opts and opts.threads)
  return out
end

-- ---- expressions ---------------------------------------------------------------------------------------------------

local compiled = setmetatable({}, { __mode = "v" }) -- expressions by their source

local function compile(source)
  if type(source) ~= "string" then
    errors.misuse(2, "bad argument 'expression' to 'map' (a string expected, got %s)", errors.described(source))
  end
  if compiled[source] then return compiled[source] end
  local expression, column, message = core.expression_new(source)
  if not expression then errors.misuse(2, "bad expression %q, column %d: %s", source, column, message) end
  compiled[source] = expression
  return expression
end

-- Lists the values of the variables from a table by name.
local function named_values(names, values)
  local list, known = {}, {}
  for i, name in ipairs(names) do
    known[name] = true
    list[i] = values[name]
    if list[i] == nil then errors.misuse(2, "bad argument 'values' to 'map' (it has no '%s')", name) end
  end
  for name in pairs(values) do
    if not known[name] then
      local nearest = type(name) == "string" and errors.nearest(name, known)
      errors.misuse(2, "bad argument 'values' to 'map' (the expression has no variable '%s'%s)", tostring(name),
        nearest and (": did you mean '%s'?"):format(nearest) or "")
    end
  end
  return list
end

-- Lists the values, which are given in the order of the variables. Returns also the options, which may follow them.
local function listed_values(names, ...)
  local list = table.pack(...)
  local opts
  if type(list[list.n]) == "table" or list.n == #names + 1 and list[list.n] == nil then
    opts = list[list.n]
    list.n = list.n - 1
  end
  if list.n ~= #names then
    errors.misuse(2, "bad arguments to 'map' (%d values expected, for %s, got %d)", #names,
      #names > 0 and table.concat(names, ", ") or "no variable", list.n)
  end
  return list, opts
end

local map_options = { threads = "integer", out = "userdata", type = "string" }

-- The length of the result: that of the first array.
local function length_of(names, list)
  local length
  for i, name in ipairs(names) do
    if is_array(list[i]) then
      length = length or #list[i]
    elseif type(list[i]) ~= "number" then
      errors.misuse(2, "bad argument '%s' to 'map' (a braid.array or a number expected, got %s)", name,
        errors.described(list[i]))
    end
  end
  return length
end

---Computes an expression for each element. Values are given by name, `map("a*x + sqrt(y)", { a = 2, x = X, y = Y })`,
---or in the order in which the variables first appear, `map("a*x + sqrt(y)", 2, X, Y)`. A value is an array or a
---number; all arrays have the same length. Suspends, except for short arrays.
---
---The language: numbers, pi, inf, nan. + - * / // % ^ as in Lua. < <= > >= == ~= (or !=), `and`, `or`, `not`: true is
---1, false is 0, and every operand that is not 0 is true (a < b < c is refused). Functions: sqrt exp exp2 log log2
---log10 sin cos tan asin acos atan sinh cosh tanh erf abs sign floor ceil, round (halves to even), isnan, isinf, log(x,
---base), atan(y, x) or atan2(y, x), hypot(x, y), pow(x, y), min and max of two or more (NaN if one is NaN; the first of
---equal ones), where(condition, then, otherwise).
---
---It computes in doubles. The error of exp and log is below 1 unit in the last place, of sin and cos below 2.5.
---
---It computes in integers, exactly and modulo 2^64, if all arrays, all numbers and the result's type are integers, and
---every operation gives integers: + - * // %, ^2, comparisons, logic, abs sign floor ceil round min max where. If there
---are arrays of u64 and none of signed types, integers among the values are u64, too: those from 2^63 on are negative
---in Lua. If arrays of u64 meet arrays of signed types, or a negative number in the expression, and the order of
---integers matters (< <= > >= // % min max abs sign), everything is computed in doubles.
---@param expression string
---@param ... table|braid.Array|number the values of the variables by name, or one after the other; then the options:
--- `{ out = array, type = string, threads = integer }`. out: the array for the result; it is one of the arrays, or
--- overlaps none. type: the type of a new array, default "f64". In an array of integers doubles are rounded towards
--- zero; results out of the type's range are clamped, NaN becomes 0, x / 0 is clamped, and 0 / 0 becomes 0
---@return braid.Array out
function M.map(expression, ...)
  local program = compile(expression)
  local names, first = program:names(), (...)
  local list, opts
  if type(first) == "table" and (#names > 0 or select("#", ...) > 1) then
    if select("#", ...) > 2 then errors.misuse(1, "too many arguments to 'map' (an expression, values, opts)") end
    list, opts = named_values(names, first), select(2, ...)
  else
    list, opts = listed_values(names, ...)
  end
  errors.check_options(1, "map", opts, map_options)
  local length = length_of(names, list)
  local out = opts and opts.out
  if not out then
    if not length then errors.misuse(1, "map needs an array among the values, or the option 'out'") end
    out = make_array(opts and opts.type or "f64", length)
  end
  core.vector_map(program, opts and opts.threads, out, table.unpack(list, 1, #names))
  return out
end

return M
