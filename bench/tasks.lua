-- SPDX-License-Identifier: MIT
-- Tasks, in the form that the peers' runner expects:
--   tasks.lua CASE N        spawn, switch, sleep, idle or beside; all of them without arguments
-- Prints BENCH_NAME, BENCH_IMPL, metric and value, separated by tabs.
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield -- before braid replaces resume
local braid = require "braid"
local case, n = arg[1], tonumber(arg[2])

local function report(metric, value)
  local name, impl = os.getenv "BENCH_NAME" or case, os.getenv "BENCH_IMPL" or "braid"
  print(("%s\t%s\t%s\t%.6g"):format(name, impl, metric, value))
end

local function resident_kib()
  for line in io.lines "/proc/self/status" do
    local value = line:match "^VmRSS:%s+(%d+)"
    if value then return tonumber(value) end
  end
end

local cases = {}

-- A thousand at a time, as Go's program does, and every result is fetched.
function cases.spawn()
  local function body(a) return a end
  local spawn, tasks, sum, t0 = braid.spawn, {}, 0, os.clock()
  for first = 1, n, 1000 do
    for i = 0, 999 do tasks[i] = spawn(body, first + i) end
    for i = 0, 999 do sum = sum + tasks[i]:result() end
  end
  assert(sum == n * (n + 1) // 2)
  report("tasks_per_s", n / (os.clock() - t0))
end

function cases.switch()
  local checkpoint, t0 = braid.checkpoint, os.clock()
  local function body() for _ = 1, n // 2 do checkpoint() end end
  local a, b = braid.spawn(body), braid.spawn(body)
  a:result()
  b:result()
  report("switches_per_s", n / (os.clock() - t0))
end

function cases.sleep()
  local sleep, t0 = braid.sleep, braid.now()
  local function body() sleep(0.010) end
  braid.scope(function()
    for _ = 1, n do braid.spawn(body) end
  end)
  report("over_ms", (braid.now() - t0 - 0.010) * 1000)
end

function cases.idle()
  local event, before = braid.event(), resident_kib()
  local function body() event:wait() end
  for _ = 1, n do braid.spawn(body) end
  braid.sleep(0.2)
  report("bytes_per_task", (resident_kib() - before) * 1024 / n)
  event:set()
end

-- Rounds of braid and of bare coroutines in turn, in one process: spawn and join in batches of 100, and switches.
-- Prints how many times as many braid does in the same processor time.
function cases.beside()
  local clock, spawn, checkpoint, tasks = os.clock, braid.spawn, braid.checkpoint, {}
  local function body(a) return a end
  local function spin() for _ = 1, 1000 do checkpoint() end end
  local function turn() for _ = 1, 1000 do yield() end end
  local work = {
    spawn = { function()
      local sum = 0
      for i = 1, 100 do
        local _, v = resume(create(function(a) return a end), i)
        sum = sum + v
      end
    end, function()
      local sum = 0
      for i = 1, 100 do tasks[i] = spawn(body, i) end
      for i = 1, 100 do sum = sum + tasks[i]:result() end
    end },
    switch = { function()
      local a, b = create(turn), create(turn)
      for _ = 1, 1001 do resume(a) resume(b) end
    end, function()
      local a, b = spawn(spin), spawn(spin)
      a:result()
      b:result()
    end },
  }
  for _, name in ipairs { "spawn", "switch" } do
    local ratios = {}
    for round = 1, 41 do
      local took = {}
      for which = 1, 2 do
        local t0 = clock()
        for _ = 1, n do work[name][which]() end
        took[which] = clock() - t0
      end
      ratios[round] = took[1] / took[2]
    end
    table.sort(ratios)
    report(name .. "_of_bare", ratios[21])
  end
end

if case then
  braid.run(cases[case])
else
  for _, default in ipairs { { "idle", 100000 }, { "spawn", 1000000 }, { "switch", 5000000 }, { "sleep", 100000 },
    { "beside", 100 } } do
    case, n = default[1], default[2]
    collectgarbage()
    braid.run(cases[case])
  end
end
