-- SPDX-License-Identifier: MIT
-- Rows S6, S22-S25, S47: eight big numbers taken apart: one after the other, as tasks of one thread, in threads, where
-- the document says that nothing is won - here it is - in processes, and by a native kernel. `--emulate-gil` shows what
-- the document describes: one lock around each job of this process. Lua needs 0.1 to 0.2 s for the document's number;
-- for more work take 9007199254740881, the largest prime below 2^53.
--   lua5.4 examples/factorize.lua [--number 112272535095293] [--count 8] [--workers N] [--emulate-gil] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options {
  number = 112272535095293, count = 8, workers = math.min(8, braid.cpu_count()), emulate_gil = false,
}

local function factorize(n)
  local factors, d = {}, 2
  while d * d <= n do
    while n % d == 0 do
      factors[#factors + 1] = d
      n = n // d
    end
    d = d + 1
  end
  if n > 1 then factors[#factors + 1] = n end
  return factors
end

for _, n in ipairs { 360, 1, options.number } do
  print(("factorize(%d) = {%s}"):format(n, table.concat(factorize(n), ", ")))
end

local gil = options.emulate_gil and braid.lock()

local function job(n)
  if not gil then return factorize(n) end
  return gil:with(factorize, n)
end

local numbers = {}
for i = 1, options.count do numbers[i] = options.number end

local times = {}
for _, way in ipairs { { "serial", "inline" }, { "tasks", "tasks" }, { "threads", "threads" },
  { "processes", "processes" } } do
  local pool <close> = braid.pool(way[2], options.workers)
  local start = braid.now()
  local results = pool:map(way[2] == "processes" and factorize or job, numbers) -- each process has a lock to itself
  times[way[1]] = braid.now() - start
  assert(#results == options.count and results[1][1] * (results[1][2] or 1) == options.number)
  tour.say(way[1] .. "_time", times[way[1]])
end
for _, kind in ipairs { "threads", "processes" } do
  print(("%d %s: %.2f times as fast"):format(options.workers, kind, times.serial / times[kind]))
end

-- The leaf "numpy/numba/Cython" of the document's tree: native code on all cores, by the same algorithm and by the best
-- there is.
for _, method in ipairs { "trial", "curves" } do
  local start = braid.now()
  local results = braid.kernels.factorize(numbers, { method = method })
  assert(#results == options.count and results[1][1] * (results[1][2] or 1) == options.number)
  print(("kernel, %s: %.6f s"):format(method, braid.now() - start))
end

-- factorize(360) = {2, 2, 2, 3, 3, 5}
-- factorize(1) = {}
-- factorize(112272535095293) = {112272535095293}
-- 串行耗时 0.85s
-- 协程耗时 0.81s
-- 多线程耗时 0.44s
-- 多进程耗时 0.46s
-- 2 threads: 1.91 times as fast
-- 2 processes: 1.84 times as fast
-- kernel, trial: 0.081523 s
-- kernel, curves: 0.000079 s
