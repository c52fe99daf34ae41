-- SPDX-License-Identifier: MIT
-- Estimates the time that each model takes for many items like those of a sample, with the costs of this machine.
local core = require "braid.core"

local M = {}

-- A chunk should take so long: then the cost of its job is small.
local CHUNK_SECONDS = 1e-3

local MOST = { tasks = 1000, threads = 256, processes = 32 }

---@class braid.Prediction
---@field model "inline"|"tasks"|"threads"|"processes"|"kernel"|"cluster"
---@field workers integer
---@field chunk integer items in each job
---@field start number seconds to open the pool, to warm it up, and to close it
---@field steady number seconds for the items
---@field seconds number the sum of both
---@field pilot braid.Pilot? if there was a pilot run; it has corrected the seconds

local function prediction(model, workers, chunk, start, steady)
  return { model = model, workers = workers, chunk = chunk, start = start, steady = steady, seconds = start + steady }
end

---Whether waits are a considerable part of the items' time.
---@param p braid.Profile
---@return boolean
function M.waits(p) return p.blocked + p.suspended > 0.1 * p.wall end

local function fitting_chunk(p, n, workers)
  local fair = n // (workers * 4)
  return math.max(1, math.min(math.floor(CHUNK_SECONDS / math.max(p.wall, 1e-9)), fair))
end

local estimate = {}

function estimate.inline(costs, p, n)
  local chunk = fitting_chunk(p, n, 1)
  return prediction("inline", 1, chunk, 0, n * (p.wall + costs.inline.item + costs.inline.job / chunk))
end

-- The items' computing is serial; their waits overlap.
function estimate.tasks(costs, p, n, workers)
  local cpu = p.cpu + costs.tasks.job
  local held = cpu + p.blocked
  local rounds = math.ceil(n / workers)
  local steady = math.max(n * held + p.suspended, rounds * p.wall, n * (cpu + p.elsewhere) / costs.gain, p.longest)
  return prediction("tasks", workers, 1, costs.tasks.start, steady)
end

-- The maximum of these: the caller's own part; all computing on all cores plus one wait; the rounds of one worker.
local function estimate_remote(kind, costs, p, n, workers)
  local cost, chunk = costs[kind], fitting_chunk(p, n, workers)
  local jobs = math.ceil(n / chunk)
  local carried = (p.bytes_in + p.bytes_out) * cost.byte
  local here = p.encode_in + p.decode_out + carried + cost.item + (cost.job + p.ship / 2) / chunk
  local there = p.decode_in + p.encode_out + p.ship / 2 / chunk
  local gain = math.min(workers, cost.gain or costs.gain)
  local slower = math.min(workers, cost.slots or costs.cores) / gain
  local cpu = n * (here + there + p.cpu + p.elsewhere) / gain + p.blocked + p.suspended
  local round = chunk * (p.cpu * slower + p.blocked + p.suspended + there)
  local rounds = math.ceil(jobs / workers) * round
  local steady = math.max(n * here, cpu, rounds, p.longest) + cost.job
  return prediction(kind, workers, chunk, cost.start + cost.worker * (workers - 1), steady)
end

function estimate.threads(...) return estimate_remote("threads", ...) end

function estimate.processes(...) return estimate_remote("processes", ...) end

function estimate.cluster(...) return estimate_remote("cluster", ...) end

-- A kernel gets all items in one call.
function estimate.kernel(_, p, n) return prediction("kernel", core.cpu_count(), 1, 0, n * p.kernel) end

---Estimates the time for n items.
---@param kind string
---@param costs braid.Costs
---@param p braid.Profile
---@param n integer
---@param workers integer
---@return braid.Prediction
function M.one(kind, costs, p, n, workers) return estimate[kind](costs, p, n, workers) end

-- Finds the best number of workers by estimates: waits need many, computing needs as many as cores.
local function best_remote(kind, costs, p, n, wish)
  local best
  local most = M.waits(p) and MOST[kind] or costs.cores
  local workers = wish or math.min(costs.cores, n)
  repeat
    local one = estimate[kind](costs, p, n, workers)
    if not best or one.seconds < 0.95 * best.seconds then best = one end
    local before = workers
    workers = math.min(workers * 2, n, most)
  until wish or workers <= before
  return best
end

---Estimates n items under each available model, with a suitable number of workers.
---@param costs braid.Costs
---@param p braid.Profile
---@param n integer
---@param wish integer? the number of workers that the user wants; nil: the best one by the estimates
---@return table<string, braid.Prediction>
function M.all(costs, p, n, wish)
  local predictions = {
    inline = estimate.inline(costs, p, n), tasks = estimate.tasks(costs, p, n, math.min(wish or MOST.tasks, n)),
    kernel = p.kernel and estimate.kernel(costs, p, n),
  }
  if p.refusal then return predictions end
  for _, kind in ipairs { "threads", "processes" } do
    if costs[kind] then predictions[kind] = best_remote(kind, costs, p, n, wish) end
  end
  local cluster = costs.cluster -- its workers are there
  if cluster then predictions.cluster = estimate.cluster(costs, p, n, math.min(cluster.slots, n)) end
  return predictions
end

return M
