-- SPDX-License-Identifier: MIT
-- Kernels over arrays, in the form that the peers' runner expects:
--   vectors.lua CASE [THREADS]      without a case: all of them
-- Prints BENCH_NAME, BENCH_IMPL, ms and value (the best of 3, made ready outside of the time), separated by tabs.
local braid = require "braid"

local kernels = braid.kernels
local N, SIDE = 10000000, 512

-- case -> makes ready with these options, and returns what is measured
local cases = {
  sum = function(opts)
    local x = kernels.random(N, { seed = 1 })
    return function() kernels.sum(x, opts) end
  end,
  dot = function(opts)
    local x, y = kernels.random(N, { seed = 1 }), kernels.random(N, { seed = 2 })
    return function() kernels.dot(x, y, opts) end
  end,
  axpy = function(opts)
    local values = { a = 2.5, x = kernels.random(N, { seed = 1 }), y = kernels.random(N, { seed = 2 }) }
    opts.out = kernels.random(N)
    return function() kernels.map("a*x + y", values, opts) end
  end,
  sort = function(opts)
    local x = kernels.random(N, { seed = 1 })
    local sorted = braid.array("f64", N)
    return function() kernels.sort(sorted, opts) end, function() sorted:set(x) end
  end,
  matmul = function(opts)
    local a, b = kernels.random(SIDE * SIDE, { seed = 1 }), kernels.random(SIDE * SIDE, { seed = 2 })
    opts.out = braid.array("f64", SIDE * SIDE)
    return function() kernels.matmul(a, b, opts) end
  end,
}

local function measure(name, threads)
  local run, prepare = cases[name] { threads = threads }
  local best = math.huge
  for _ = 1, 3 do
    if prepare then prepare() end
    local start = braid.now()
    run()
    best = math.min(best, braid.now() - start)
  end
  local impl = os.getenv "BENCH_IMPL" or threads and ("braid_%d"):format(threads) or "braid"
  print(("%s\t%s\tms\t%.6g"):format(os.getenv "BENCH_NAME" or name, impl, best * 1000))
end

braid.run(function()
  if arg[1] then return measure(arg[1], math.tointeger(arg[2])) end
  for _, name in ipairs { "sum", "dot", "axpy", "sort", "matmul" } do
    measure(name, 1)
    measure(name)
  end
end)
