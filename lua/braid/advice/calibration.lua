-- SPDX-License-Identifier: MIT
-- Measures what each model costs on this machine: its start, each job, each item, each byte; and the speed of all cores
-- together. Each state measures once, in some tenths of a second; a cluster each time, because workers come and go.
local clusters = require "braid.experiments.cluster"
local core = require "braid.core"
local pools = require "braid.pools.pool"
local statistics = require "braid.experiments.statistics"

local M = {}

local function nothing() end

local function count_up(n)
  local sum = 0
  for i = 1, n do sum = sum + i % 7 end
  return sum
end

local function seconds(fn, ...)
  local began = core.now()
  fn(...)
  return core.now() - began
end

local function median_of(times, fn, ...)
  local list = {}
  for i = 1, times do list[i] = seconds(fn, ...) end
  return statistics.median(list)
end

-- Runs n jobs as map sends them.
local function map_nothing(pool, n, chunk)
  pool:map(nothing, { n = n }, { chunk = chunk })
end

-- The job sleeps, so that each worker gets one: while one worker sleeps, the next job goes to another.
local NAP = 0.002

local function nap() core.sleep(NAP) end

local function open_and_close(kind, workers)
  local pool <close> = pools.pool(kind, workers)
  pool:map(nap, { n = workers }, { chunk = 1 })
end

local function start_cost(kind, workers, repeats)
  return math.max(0, median_of(repeats, open_and_close, kind, workers) - median_of(repeats, nap))
end

---@class braid.Cost
---@field start number seconds to open a pool with one worker, run a job and close the pool
---@field worker number seconds for each further worker
---@field job number seconds for each job
---@field item number seconds for each item of a job that has several
---@field byte number seconds for each byte that is sent

---@class braid.ClusterCost: braid.Cost
---@field slots integer of all its workers
---@field gain number how many times as fast they are together as one core of this machine

-- Returns the seconds for a job and for a further item in it, measured with many small jobs and few large ones.
local function dispatch_costs(pool, can_chunk)
  local jobs, items, chunk = 400, 8000, 200
  map_nothing(pool, 64, 1)
  local single = median_of(3, map_nothing, pool, jobs, 1) / jobs
  if not can_chunk then return single, 0 end
  local packed = median_of(3, map_nothing, pool, items, chunk) / items
  local item = math.max(0, (packed - single / chunk) / (1 - 1 / chunk))
  return math.max(0, single - item), item
end

local function byte_cost(pool, job)
  local text = ("x"):rep(1 << 20)
  local list = { text, text, text, text, text, text, text, text }
  local each = median_of(3, pool.map, pool, nothing, list, { chunk = 1 }) / #list
  return math.max(0, each - job) / #text
end

local function local_cost(kind)
  local pool <close> = pools.pool(kind)
  local job, item = dispatch_costs(pool, kind == "inline")
  return { start = start_cost(kind, 1, 3), worker = 0, job = job, item = item, byte = 0 }
end

local function remote_cost(kind, cores)
  local more = kind == "threads" and 16 or math.max(4, cores)
  local repeats = kind == "threads" and 3 or 1
  local start = start_cost(kind, 1, repeats)
  local cost = { start = start, worker = math.max(0, (start_cost(kind, more, repeats) - start) / (more - 1)) }
  local pool <close> = pools.pool(kind, cores)
  cost.job, cost.item = dispatch_costs(pool, true)
  cost.byte = byte_cost(pool, cost.job)
  return cost
end

-- How many times as fast all workers of a pool together are as this core alone, with the present load of the machines.
local function gain_of(together, workers, rounds)
  local list, gains = {}, {}
  for i = 1, workers * 2 do list[i] = 1000000 end
  local alone <close> = pools.pool("inline")
  together:map(count_up, list, { chunk = 1 })
  for i = 1, rounds do
    local one = seconds(alone.map, alone, count_up, list)
    gains[i] = one / seconds(together.map, together, count_up, list, { chunk = 1 })
  end
  return statistics.median(gains)
end

local function core_gain(cores)
  if cores == 1 then return 1 end
  local together <close> = pools.pool("threads", cores)
  return math.max(1, math.min(cores, gain_of(together, cores, 7)))
end

local MOST_SLOTS = 8 -- of so many the gain is measured; it grows with the others

---@class braid.Costs
---@field cores integer the number of usable cores
---@field gain number how many times as fast they are together as one alone
---@field inline braid.Cost
---@field tasks braid.Cost
---@field threads braid.Cost
---@field cluster braid.ClusterCost? if one was named
---@field processes braid.Cost? nil if processes cannot be used here

local function cluster_cost(cluster)
  local began = core.now()
  local pool <close>, slots = clusters.open(cluster)
  local cost = { start = core.now() - began, worker = 0, slots = slots }
  cost.job, cost.item = dispatch_costs(pool, true)
  cost.byte = byte_cost(pool, cost.job)
  local some = math.min(slots, MOST_SLOTS)
  cost.gain = math.max(0.1, gain_of(pool, some, 3)) * slots / some
  return cost
end

local costs

---The costs of this machine. The first call measures them, and suspends.
---@return braid.Costs
function M.costs()
  if costs then return costs end
  local cores = core.cpu_count()
  local found = { cores = cores, gain = core_gain(cores) }
  for _, kind in ipairs(pools.kinds()) do
    if kind == "inline" or kind == "tasks" then
      found[kind] = local_cost(kind)
    else
      local ok, cost = pcall(remote_cost, kind, cores) -- some programs cannot start worker processes
      found[kind] = ok and cost or nil
      core.checkpoint()
    end
  end
  costs = found
  return costs
end

---The same, and those of a cluster, which are measured each time. Suspends.
---@param cluster braid.cluster.Cluster?
---@return braid.Costs
function M.costs_with(cluster)
  local found = {}
  for name, value in pairs(M.costs()) do found[name] = value end
  found.cluster = cluster and cluster_cost(cluster)
  return found
end

return M
