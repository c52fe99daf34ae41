-- SPDX-License-Identifier: MIT
-- A pool of two workers and trivial jobs, in the form that the peers' runner expects:
--   pool.lua CASE N [KIND] many: submit and collect, 1024 ahead, jobs/s; map: automatic chunks, items/s;
--                          rtt: one job at a time, median microseconds; start: pool and first result, milliseconds;
--                          rested: the same after two idle milliseconds;
--                          idle: processor time of an idle pool, milliseconds in a second
-- KIND: threads (the default) or processes.
-- Prints BENCH_NAME, BENCH_IMPL, metric and value, separated by tabs. Without arguments: all of them.
local braid = require "braid"

local function increment(x) return x + 1 end

local function report(case, metric, value)
  local name = os.getenv "BENCH_NAME" or "pool_" .. case
  print(("%s\t%s\t%s\t%.6g"):format(name, os.getenv "BENCH_IMPL" or "braid", metric, value))
end

local cases = {}

function cases.many(pool, n)
  local futures, sum, taken, start = {}, 0, 0, braid.now()
  for i = 1, n do
    futures[i % 1024] = pool:submit(increment, i - 1)
    if i - taken == 1023 then
      taken = taken + 1
      sum = sum + futures[taken % 1024]:result()
    end
  end
  for i = taken + 1, n do sum = sum + futures[i % 1024]:result() end
  assert(sum == n * (n + 1) // 2)
  report("many", "tasks_per_s", n / (braid.now() - start))
end

function cases.map(pool, n)
  local list, sum = {}, 0
  for i = 1, n do list[i] = i - 1 end
  local start = braid.now()
  local results = pool:map(increment, list)
  local seconds = braid.now() - start
  for i = 1, n do sum = sum + results[i] end
  assert(sum == n * (n + 1) // 2)
  report("map", "items_per_s", n / seconds)
end

function cases.rtt(pool, n)
  local times = {}
  for i = 1, n do
    local start = braid.now()
    pool:submit(increment, i):result()
    times[i] = (braid.now() - start) * 1e6
  end
  table.sort(times)
  report("rtt", "rtt_us", times[n // 2])
end

function cases.idle(_, n)
  local before = os.clock()
  braid.sleep(n)
  report("idle", "cpu_ms", (os.clock() - before) * 1000 / n)
end

-- The pool has slept for a while before each job.
function cases.rested(pool, n)
  local times = {}
  for i = 1, n do
    braid.sleep(0.002)
    local start = braid.now()
    pool:submit(increment, i):result()
    times[i] = (braid.now() - start) * 1e6
  end
  table.sort(times)
  report("rested", "rtt_us", times[n // 2])
end

local function measure(case, n, kind)
  local make = kind == "processes" and braid.process_pool or braid.thread_pool -- its module is loaded now
  braid.run(function()
    local start = braid.now()
    local pool <close> = make(2)
    pool:submit(increment, 1):result()
    if case == "start" then report("start", "start_ms", (braid.now() - start) * 1000) else cases[case](pool, n) end
  end)
end

if arg[1] then
  measure(arg[1], tonumber(arg[2]), arg[3])
else
  local runs = {
    { "start", 1 }, { "rtt", 20000 }, { "rested", 500 }, { "many", 1000000 }, { "map", 3000000 }, { "idle", 1 },
  }
  for _, run in ipairs(runs) do
    measure(run[1], run[2])
  end
end
