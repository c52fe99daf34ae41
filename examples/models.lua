-- SPDX-License-Identifier: MIT
-- Rows S1-S9: the same functions under each model: who runs when and where, how long four kinds of work take, what a
-- call costs, and what it costs to start a worker and to switch to another one.
--   lua5.4 examples/models.lua [--models inline,tasks,threads,processes,cluster] [--workers 2] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local core = require "braid.core"
local tour = require "tour"

local options = tour.options { models = "inline,tasks,threads,processes,cluster", workers = 2 }
local server <close> = tour.server()
local models = {}
for model in options.models:gmatch "%w+" do models[#models + 1] = model end

-- The cluster of this machine, when it is wanted: a server and a worker.
local function start_farm()
  for i, model in ipairs(models) do
    if model == "cluster" then
      local farm, why = tour.farm()
      if farm then farm:worker("farm", options.workers) else print(why) table.remove(models, i) end
      return farm
    end
  end
end

local farm <close> = start_farm()
local cluster <close> = farm and braid.cluster { servers = farm.url, insecure = true }

local function pool_of(model)
  if model == "cluster" then return cluster:pool() end
  return braid.pool(model, model ~= "inline" and options.workers or nil)
end

local function seconds(fn, ...)
  local start = braid.now()
  fn(...)
  return braid.now() - start
end

-- ---- S1, S2: two jobs: who runs when, and in which thread -----------------------------------------------------------

-- Counts for a while, with a wait in between; where it ran, and from when to when each part of it did.
local function stamped()
  local spans = {}
  for part = 1, 3 do
    local start = braid.now()
    while braid.now() - start < 0.02 do end
    spans[part] = { start, braid.now() }
    braid.sleep(0)
  end
  return { where = ("%d:%d"):format(core.pid(), core.thread_id()), spans = spans }
end

local function draw(job, origin)
  local line = {}
  for column = 1, 60 do
    local at = origin + (column - 1) * 0.0025
    line[column] = "."
    for _, span in ipairs(job.spans) do
      if at >= span[1] and at < span[2] then line[column] = "#" end
    end
  end
  return table.concat(line)
end

for _, model in ipairs(models) do
  local pool <close> = pool_of(model)
  pool:map(function() braid.sleep(0.01) end, { 1, 2 }, { chunk = 1 }) -- everybody has started
  local jobs = pool:map(stamped, { 1, 2 }, { chunk = 1 })
  local a, b = jobs[1].spans, jobs[2].spans
  local origin = math.min(a[1][1], b[1][1])
  local parallel = false
  for _, span in ipairs(a) do
    for _, other in ipairs(b) do
      parallel = parallel or math.min(span[2], other[2]) - math.max(span[1], other[1]) > 0.002
    end
  end
  print(("S1  %-10s %s, %s"):format(model, jobs[1].where == jobs[2].where and "one thread" or "two threads",
    parallel and "at the same instant" or "never at the same instant"))
  for _, job in ipairs(jobs) do print("    " .. draw(job, origin)) end
end

-- ---- S3, S4: four kinds of work under each model --------------------------------------------------------------------

local works = {
  { "network", function(url) return assert(braid.http.get(url .. "/delay/0.1")).status end },
  { "disk", function()
    local file <close> = assert(io.tmpfile())
    for _ = 1, 200 do assert(file:write(("x"):rep(10000))) end
    file:seek "set"
    return #file:read "a"
  end },
  { "compute", function()
    local n, d = 9007199254740881 // 1000, 2
    while d * d <= n do d = d + 1 end
    return d
  end },
  { "hash", function()
    local hash = 0
    for i = 1, 1000000 do hash = (hash ~ (i & 255)) * 0x100000001b3 end
    return hash
  end },
}

print(("S4  %-10s" .. (" %9s"):rep(#works)):format("4 items of", "network", "disk", "compute", "hash"))
for _, model in ipairs(models) do
  local pool <close> = pool_of(model)
  local cells = {}
  for i, work in ipairs(works) do
    cells[i] = ("%7.3f s"):format(seconds(pool.map, pool, work[2],
      { server.url, server.url, server.url, server.url }, { chunk = 1 }))
  end
  print(("    %-10s %s"):format(model, table.concat(cells, " ")))
end

-- ---- S5: what a call costs ------------------------------------------------------------------------------------------

print(("S5  %-10s %12s %12s %12s"):format("a call", "empty", "1 KB", "1 MB"))
for _, model in ipairs(models) do
  local pool <close> = pool_of(model)
  local function echo(value) return value end
  local function cost(value, count)
    pool:submit(echo, value):result()
    return seconds(function() for _ = 1, count do pool:submit(echo, value):result() end end) / count
  end
  local small, large = ("x"):rep(1024), ("x"):rep(1024 * 1024)
  local kilo, mega = cost(small, 300), cost(large, 20)
  print(("    %-10s %9.1f us %7.1f MB/s %7.1f MB/s"):format(model, cost(nil, 300) * 1e6,
    2 * 1024 / kilo / 1e6, 2 * 1024 * 1024 / mega / 1e6))
end

-- ---- S7-S9: starting and switching ----------------------------------------------------------------------------------

local function queue_here() return braid.queue(1) end
local function queue_of_cluster(name) return cluster:queue(name, { maxsize = 1 }) end

-- Seconds for each time that one lets the other go on.
local function switch(pool, count, make_queue)
  local left, right = make_queue "left", make_queue "right"
  local function strike(mine, theirs)
    for _ = 1, count do
      mine:get()
      theirs:put(true)
    end
  end
  local one, two = pool:submit(strike, left, right), pool:submit(strike, right, left)
  local start = braid.now()
  left:put(true)
  one:result()
  two:result()
  return (braid.now() - start) / (2 * count)
end

-- The same between this process and another one.
local function switch_processes(count)
  local cat <close> = assert(braid.process.start { "cat" })
  return seconds(function()
    for _ = 1, count do
      cat:write "\n"
      cat:read "l"
    end
  end) / (2 * count)
end

print(("S7  %-10s %12s %12s"):format("", "start", "switch"))
for _, model in ipairs(models) do
  if model ~= "inline" then
    local start = braid.now()
    if model == "cluster" then farm:worker("second", 2) end
    local pool <close> = pool_of(model)
    pool:submit(function() end):result()
    local started = braid.now() - start
    local cost
    if model == "processes" then
      cost = switch_processes(1000)
    elseif model == "cluster" then
      cost = switch(pool, 50, queue_of_cluster)
    else
      cost = switch(pool, model == "tasks" and 20000 or 1000, queue_here)
    end
    print(("    %-10s %9.1f us %9.2f us"):format(model, started * 1e6, cost * 1e6))
  end
end

-- braid worker farm: 2 threads, cluster "default" at nats://127.0.0.1:33951
-- S1  inline     one thread, never at the same instant
--     ##########################..................................
--     ..........................########################..........
-- S1  tasks      one thread, never at the same instant
--     #########........########........########...................
--     .........########........########........########...........
-- S1  threads    two threads, at the same instant
--     #########################...................................
--     .########################...................................
-- S1  processes  two threads, at the same instant
--     #########################...................................
--     .########################...................................
-- S1  cluster    two threads, at the same instant
--     #########################...................................
--     ...##########################...............................
-- S4  4 items of   network      disk   compute      hash
--     inline       0.411 s   0.060 s   0.097 s   0.029 s
--     tasks        0.203 s   0.054 s   0.116 s   0.035 s
--     threads      0.211 s   0.037 s   0.052 s   0.016 s
--     processes    0.225 s   0.044 s   0.055 s   0.020 s
--     cluster      0.211 s   0.046 s   0.058 s   0.022 s
-- S5  a call            empty         1 KB         1 MB
--     inline           3.1 us   646.2 MB/s 778597.3 MB/s
--     tasks            4.9 us   401.1 MB/s 466744.3 MB/s
--     threads        137.9 us    52.4 MB/s  2174.9 MB/s
--     processes      103.7 us    13.4 MB/s   966.0 MB/s
--     cluster       1447.5 us     1.3 MB/s    37.2 MB/s
-- S7                    start       switch
--     tasks           63.2 us      0.18 us
--     threads       5265.3 us     19.38 us
--     processes     4797.7 us      4.79 us
-- braid worker second: 2 threads, cluster "default" at nats://127.0.0.1:33951
--     cluster      24496.1 us   6907.36 us
