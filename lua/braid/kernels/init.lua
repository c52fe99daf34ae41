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
  ["braid.kernels.selection"] = { "take", "put", "scatter_add", "count", "compress", "indices", "where", "less",
    "less_equal", "equal", "not_equal", "linspace", "arange", "shuffle", "choice" },
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
  ["braid.kernels.csv"] = true, ["braid.kernels.linear"] = true }

local function with_flat_arrays(fn)
  return function(...)
    for at = 1, select("#", ...) do
      if view.is((select(at, ...))) then
        local list = table.pack(...)
        for n = 1, list.n do
          if view.is(list[n]) then list[n] = list[n]:flat() end
        end
        return fn(table.unpack(list, 1, list.n))
      end
    end
    return fn(...)
  end
end

---@class braid.kernels: braid.kernels.numbers, braid.kernels.vectors, braid.kernels.random, braid.kernels.selection,
--- braid.kernels.groups, braid.kernels.series, braid.kernels.matrices, braid.kernels.linear
local kernels = {}

return setmetatable(kernels, {
  __index = function(self, name)
    local module = home[name] or "braid.kernels.vectors"
    local value = require(module)[name]
    if value and not knows_views[module] then value = with_flat_arrays(value) end
    rawset(self, name, value)
    return value
  end,
})
