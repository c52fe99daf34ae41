-- SPDX-License-Identifier: MIT
-- Row S56: threads that compute, 1, 2, 4 and 8 of them: there is no global lock here, so they are as many times faster
-- as there are cores.
--   lua5.4 examples/scaling.lua [--model threads] [--number 112272535095293] [--count 8]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { model = "threads", number = 112272535095293 // 10, count = 8 }

local function smallest_factor(n)
  local d = 2
  while d * d <= n do
    if n % d == 0 then return d end
    d = d + 1
  end
  return n
end

local numbers = {}
for i = 1, options.count do numbers[i] = options.number end

-- The best of three rounds: what else the machine does makes some of them slower.
local best = {}
for _ = 1, 3 do
  for _, workers in ipairs { 1, 2, 4, 8 } do
    local pool <close> = braid.pool(options.model, workers)
    pool:map(smallest_factor, { 4, 6, 8, 9 })
    local start = braid.now()
    pool:map(smallest_factor, numbers, { chunk = 1 })
    best[workers] = math.min(best[workers] or math.huge, braid.now() - start)
  end
end

print(("S56  %d cores, %d jobs"):format(braid.cpu_count(), options.count))
for _, workers in ipairs { 1, 2, 4, 8 } do
  print(("     %d %-10s %.2f s  %.2f times as fast"):format(workers, options.model, best[workers],
    best[1] / best[workers]))
end

-- S56  2 cores, 8 jobs
--      1 threads    0.24 s  1.00 times as fast
--      2 threads    0.12 s  2.01 times as fast
--      4 threads    0.12 s  2.02 times as fast
--      8 threads    0.12 s  2.03 times as fast
