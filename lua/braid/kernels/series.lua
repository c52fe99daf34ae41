-- SPDX-License-Identifier: MIT
--- Quantiles, moving windows, convolution.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array
local compile = require "braid.kernels.compile.kernel".compile
local vectors = require "braid.kernels.vectors"

local M = {}

local threads_only = { threads = "integer" }

local function check_array(what, name, value)
  if getmetatable(value) == core.Array then return end
  errors.misuse(2, "bad argument '%s' to '%s' (a braid.array expected, got %s)", name, what, errors.described(value))
end

-- The array as f64, copied only if it has another type.
local function as_f64(array) return array:type() == "f64" and array or make_array("f64", array) end

---The quantile q of the elements: linear between the two that are next to it, as numpy computes it. NaN if there is
--- one;
---nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param q number|number[] from 0 to 1
---@param opts { threads: integer? }?
---@return number|number[]|nil a list for a list
function M.quantile(array, q, opts)
  check_array("quantile", "array", array)
  errors.check_options(1, "quantile", opts, threads_only)
  local list = type(q) == "table" and q or { q }
  for _, each in ipairs(list) do
    if not (math.type(each) and each >= 0 and each <= 1) then
      errors.misuse(1, "bad argument 'q' to 'quantile' (a number from 0 to 1 expected, got %s)", errors.text(each))
    end
  end
  if #array == 0 then return nil end
  local sorted = vectors.sort(array:copy(), opts)
  local results, last = {}, sorted[#sorted]
  for at, each in ipairs(list) do
    local place = 1 + each * (#sorted - 1)
    local below = math.floor(place)
    local low, high = sorted[below], sorted[math.min(below + 1, #sorted)]
    results[at] = last ~= last and last or low + (high - low) * (place - below)
  end
  return type(q) == "table" and results or results[1]
end

---The median. NaN if there is one; nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return number?
function M.median(array, opts)
  check_array("median", "array", array)
  return M.quantile(array, 0.5, opts)
end

local convolve_options = { mode = "string", threads = "integer" }

---The convolution of two arrays, in doubles. Suspends, except for short arrays.
---@param a braid.Array
---@param b braid.Array
---@param opts { mode: "full"|"same"|"valid"?, threads: integer? }? full: all #a + #b - 1; same: as long as the longer
--- array; valid: where they overlap completely
---@return braid.Array f64
function M.convolve(a, b, opts)
  check_array("convolve", "a", a)
  check_array("convolve", "b", b)
  errors.check_options(1, "convolve", opts, convolve_options)
  local mode = opts and opts.mode or "full"
  if #a == 0 or #b == 0 then errors.misuse(1, "bad argument to 'convolve' (arrays with elements expected)") end
  local longer, shorter = math.max(#a, #b), math.min(#a, #b)
  local first, count
  if mode == "full" then
    first, count = 0, longer + shorter - 1
  elseif mode == "same" then
    first, count = (shorter - 1) // 2, longer
  elseif mode == "valid" then
    first, count = shorter - 1, longer - shorter + 1
  else
    errors.misuse(1, "bad option 'mode' to 'convolve' (\"full\", \"same\" or \"valid\" expected, got %s)",
      errors.text(mode))
  end
  local out = make_array("f64", count)
  core.matrix_convolve(as_f64(a), as_f64(b), first, out, opts and opts.threads)
  return out
end

local windowed -- kernels that call another one for each window, by that one
windowed = setmetatable({}, { __mode = "k" })

local function kernel_windows(array, n, kernel, threads)
  local fn = windowed[kernel]
  if not fn then
    fn = compile(function(i, a, width, out) out[i] = kernel(i, a, width) end)
    windowed[kernel] = fn
  end
  local out = make_array("f64", #array - n + 1)
  fn(#out, array, n, out, require("braid.kernels.compile.kernel").options { threads = threads })
  return out
end

---The value of each window of n neighbours: element i is that of the elements i to i + n - 1. Suspends, except for
--- short
---arrays.
---@param array braid.Array
---@param n integer 1 to #array
---@param what "sum"|"mean"|"min"|"max"|braid.Kernel a kernel is called as kernel(i, array, n): the window begins at i
---@param opts { threads: integer? }?
---@return braid.Array f64, #array - n + 1 elements
function M.windows(array, n, what, opts)
  check_array("windows", "array", array)
  n = errors.integer(1, "windows", "n", n, 1)
  errors.check_options(1, "windows", opts, threads_only)
  if n > #array then
    errors.misuse(1, "bad argument 'n' to 'windows' (an integer from 1 to %d expected, got %d)", #array, n)
  end
  local threads = opts and opts.threads
  if (getmetatable(what) or {}).__name == "braid.kernel" then return kernel_windows(array, n, what, threads) end
  if what ~= "sum" and what ~= "mean" and what ~= "min" and what ~= "max" then
    errors.misuse(1, "bad argument 'what' to 'windows' (\"sum\", \"mean\", \"min\", \"max\" or a kernel expected, "
      .. "got %s)", errors.text(what))
  end
  local out = make_array("f64", #array - n + 1)
  core.matrix_windows(as_f64(array), n, what == "mean" and "sum" or what, out, threads)
  return what == "mean" and vectors.map("s / n", { s = out, n = n }, { out = out }) or out
end

return M
