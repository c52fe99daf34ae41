-- SPDX-License-Identifier: MIT
-- Jobs of a cluster with two workers of one slot each, on this machine; jobs are x + 1. NATS_URL names the server, in
-- memory.
-- usage: lua5.4 bench/cluster.lua rtt|submit|map|file|factorize N      (in the tree's root or with its paths)
--   rtt: one after the other, microseconds each; submit: one job each, by 64 tasks; map: by pool:map; file: as submit,
--   in files; factorize: N numbers by one worker and by two, the ratio
local braid = require "braid"

local how, n = arg[1] or "rtt", math.tointeger(tonumber(arg[2] or 1000))
local url = os.getenv "NATS_URL"
if not url then
  print "bench/cluster.lua: left out, NATS_URL names no server"
  return
end
local here = arg[0]:match "^(.*[/\\])" or "./"

local function report(metric, value)
  local name, impl = os.getenv "BENCH_NAME" or "cluster_" .. how, os.getenv "BENCH_IMPL" or "braid_cluster"
  print(table.concat({ name, impl, metric, ("%g"):format(value) }, "\t"))
end

local function inc(x) return x + 1 end

local function start_worker()
  local argv = { arg[-1] or "lua5.4", here .. "../bin/braid", "worker", "--cluster", url, "--insecure" }
  table.move({ "--workers", "1" }, 1, 2, #argv + 1, argv)
  local worker = assert(braid.process.start(argv, { stdin = "null" }))
  assert(worker:read "l")
  return worker
end

local function seconds(fn, ...)
  local start = braid.now()
  fn(...)
  return braid.now() - start
end

local function submit(pool, count)
  local futures, next_job = {}, 0
  local tasks = {}
  for k = 1, 64 do
    tasks[k] = function()
      while next_job < count do
        next_job = next_job + 1
        local i = next_job
        futures[i] = pool:submit(inc, i)
      end
    end
  end
  braid.gather(tasks)
  for i = 1, count do assert(futures[i]:result() == i + 1) end
end

local function map(pool, count)
  local list = {}
  for i = 1, count do list[i] = i end
  local results
  local took = seconds(function() results = pool:map(inc, list) end)
  for i = 1, count do assert(results[i] == i + 1) end
  return took
end

local function factors(number)
  local d, found = 3, 0
  while d * d <= number do
    if number % d == 0 then found = d break end
    d = d + 2
  end
  return found
end

local function factorize(pool, count)
  return seconds(pool.map, pool, factors, (function()
    local list = {}
    for i = 1, count do list[i] = 4398050705407 + 2 * i end
    return list
  end)(), { chunk = 1 })
end

braid.run(function()
  local workers = { start_worker() }
  local cluster <close> = braid.cluster { servers = url, insecure = true }
  local pool <close> = cluster:pool { storage = how == "file" and "file" or nil }
  pool:submit(inc, 1):result()
  if how == "factorize" then
    local one = factorize(pool, n)
    workers[2] = start_worker()
    report("speedup", one / factorize(pool, n))
  else
    workers[2] = start_worker()
    submit(pool, 1000)
    if how == "rtt" then
      local took = seconds(function() for i = 1, n do assert(pool:submit(inc, i):result() == i + 1) end end)
      report("rtt_us", took / n * 1e6)
    elseif how == "map" then
      map(pool, n)
      report("jobs_per_s", n / map(pool, n))
    else
      report("jobs_per_s", n / seconds(submit, pool, n))
    end
  end
  for _, worker in ipairs(workers) do worker:kill "TERM" end
  for _, worker in ipairs(workers) do worker:wait(10) end
end)
