-- SPDX-License-Identifier: MIT
--- Native kernels on all cores: number theory and whole workloads (braid.kernels.numbers), arrays
--- (braid.kernels.vectors). Each of the two modules is loaded when one of its functions is first used.
---
--- A kernel suspends the calling task while native threads compute, and the loop goes on. A cancel stops the kernel.
--- Results do not depend on the number of threads. The option `threads = k` sets that number. The default is the
--- environment variable BRAID_THREADS, or else the number of cores that the process may use.

local view = require "braid.sync.view"

local homes = {
  ["braid.kernels.numbers"] = { "factorize", "is_prime", "primes", "count_primes", "monte_carlo_pi", "mandelbrot",
    "hash",
    "word_count" },
  ["braid.kernels.compile.kernel"] = { "compile", "options" },
  ["braid.kernels.selection"] = { "take", "put", "scatter_add", "count", "compress", "indices",
    "linspace", "arange", "shuffle", "choice" },
  ["braid.kernels.comparisons"] = { "where", "less", "less_equal", "equal", "not_equal" },
  ["braid.kernels.random"] = { "random", "fill_random" },
  ["braid.kernels.groups"] = { "group_by", "bincount" },
  ["braid.kernels.series"] = { "quantile", "median", "convolve", "windows" },
  ["braid.kernels.matrices"] = { "sum", "min", "max", "mean", "map", "matmul" },
  ["braid.kernels.csv"] = { "read_csv", "write_csv" },
  ["braid.kernels.linear"] = { "solve", "cholesky", "qr", "svd", "eigh" },
}

local home = {}
for module, names in pairs(homes) do
  for _, name in ipairs(names) do home[name] = module end
end

-- These know arrays of two dimensions themselves; for the others such an array is flat, row by row.
local knows_views = { ["braid.kernels.matrices"] = true, ["braid.kernels.compile.kernel"] = true,
  ["braid.kernels.csv"] = true, ["braid.kernels.linear"] = true, ["braid.kernels.comparisons"] = true }

-- These change their first argument; all may have a result in the option `out`.
local changes_first = { sort = true, put = true, scatter_add = true, shuffle = true, fill_random = true }

-- Calls fn with the flat array of each view. A view whose elements are no neighbours has a copy for that, so what fn
-- has changed is written back.
local function call_flat(fn, changes, ...)
  local list, views, changed = table.pack(...), {}, {}
  local function flat_of(value, is_changed)
    if not view.is(value) then return value end
    local flat = value:flat()
    views[flat] = value
    if is_changed and not value:is_plain() then changed[value] = flat end
    return flat
  end
  local opts = list[list.n]
  if type(opts) == "table" and not getmetatable(opts) and view.is(opts.out) then
    local copy = {}
    for name, value in pairs(opts) do copy[name] = value end
    copy.out = flat_of(opts.out, true)
    list[list.n] = copy
  end
  for n = 1, list.n do list[n] = flat_of(list[n], changes and n == 1) end
  local results = table.pack(fn(table.unpack(list, 1, list.n)))
  for target, flat in pairs(changed) do target:set(flat) end
  for n = 1, results.n do results[n] = views[results[n]] or results[n] end
  return table.unpack(results, 1, results.n)
end

local function has_view(...)
  for at = 1, select("#", ...) do
    local value = select(at, ...)
    if view.is(value) or type(value) == "table" and not getmetatable(value) and view.is(value.out) then return true end
  end
  return false
end

local function with_flat_arrays(fn, changes)
  return function(...)
    if has_view(...) then return call_flat(fn, changes, ...) end
    return fn(...)
  end
end

-- name -> true, of every kernel.
local function names_of_all()
  local names = {}
  for name in pairs(require "braid.kernels.vectors") do names[name] = true end
  for name in pairs(home) do names[name] = true end
  return names
end

---@class braid.kernels: braid.kernels.numbers, braid.kernels.vectors, braid.kernels.random, braid.kernels.selection,
--- braid.kernels.groups, braid.kernels.series, braid.kernels.matrices, braid.kernels.linear
local kernels = {}

return setmetatable(kernels, {
  __index = function(self, name)
    local module = home[name] or "braid.kernels.vectors"
    local value = require(module)[name]
    if value == nil then return (require("braid.missing").name("braid.kernels.", name, names_of_all())) end
    if not knows_views[module] then value = with_flat_arrays(value, changes_first[name]) end
    rawset(self, name, value)
    return value
  end,
  __pairs = function(self)
    local names = names_of_all()
    return function(_, name)
      name = next(names, name)
      return name, name and self[name]
    end, self, nil
  end,
})
