-- SPDX-License-Identifier: MIT
-- Reckoning: what each model would take for many items like those of a sample, from this machine's costs.
local core = require "braid.core"

local M = {}

-- A chunk is to take so long, so that what a job costs does not count.
local CHUNK_SECONDS = 1e-3

local MOST = { tasks = 1000, threads = 256, processes = 32 }

---@class braid.Prediction
---@field model "inline"|"tasks"|"threads"|"processes"|"kernel"
---@field workers integer
---@field chunk integer items for each job
---@field start number seconds to open the pool, to warm it up, and to close it
---@field steady number seconds for the items
---@field seconds number both
---@field trial braid.Trial? if the model was tried; then both are corrected by it

local function prediction(model, workers, chunk, start, steady)
  return { model = model, workers = workers, chunk = chunk, start = start, steady = steady, seconds = start + steady }
end

---Whether waiting is a part of the items' time that counts.
---@param s braid.Sample
---@return boolean
function M.waits(s) return s.blocked + s.suspended > 0.1 * s.wall end

local function fitting_chunk(s, n, workers)
  local fair = n // (workers * 4)
  return math.max(1, math.min(math.floor(CHUNK_SECONDS / math.max(s.wall, 1e-9)), fair))
end

local reckon = {}

function reckon.inline(costs, s, n)
  local chunk = fitting_chunk(s, n, 1)
  return prediction("inline", 1, chunk, 0, n * (s.wall + costs.inline.item + costs.inline.job / chunk))
end

-- The items' own steps one after the other, their waits beside each other.
function reckon.tasks(costs, s, n, workers)
  local cpu = s.cpu + costs.tasks.job
  local held = cpu + s.blocked
  local rounds = math.ceil(n / workers)
  local steady = math.max(n * held + s.suspended, rounds * s.wall, n * (cpu + s.elsewhere) / costs.gain, s.longest)
  return prediction("tasks", workers, 1, costs.tasks.start, steady)
end

-- Whatever is slowest: the caller's own part, all computing on all cores and the last wait, or the rounds of a worker.
local function reckon_remote(kind, costs, s, n, workers)
  local cost, chunk = costs[kind], fitting_chunk(s, n, workers)
  local jobs = math.ceil(n / chunk)
  local carried = (s.bytes_in + s.bytes_out) * cost.byte
  local here = s.encode_in + s.decode_out + carried + cost.item + (cost.job + s.ship / 2) / chunk
  local there = s.decode_in + s.encode_out + s.ship / 2 / chunk
  local gain = math.min(workers, costs.gain)
  local slower = math.min(workers, costs.cores) / gain
  local cpu = n * (here + there + s.cpu + s.elsewhere) / gain + s.blocked + s.suspended
  local round = chunk * (s.cpu * slower + s.blocked + s.suspended + there)
  local rounds = math.ceil(jobs / workers) * round
  local steady = math.max(n * here, cpu, rounds, s.longest) + cost.job
  return prediction(kind, workers, chunk, cost.start + cost.worker * (workers - 1), steady)
end

function reckon.threads(...) return reckon_remote("threads", ...) end

function reckon.processes(...) return reckon_remote("processes", ...) end

-- A kernel is given all items at once.
function reckon.kernel(_, s, n) return prediction("kernel", core.cpu_count(), 1, 0, n * s.kernel) end

---What n items would take.
---@param kind string
---@param costs braid.Costs
---@param s braid.Sample
---@param n integer
---@param workers integer
---@return braid.Prediction
function M.reckon(kind, costs, s, n, workers) return reckon[kind](costs, s, n, workers) end

-- The number of workers that is reckoned to be best: waits want many, computing wants the cores.
local function best_remote(kind, costs, s, n, wish)
  local best
  local most = M.waits(s) and MOST[kind] or costs.cores
  local workers = wish or math.min(costs.cores, n)
  repeat
    local one = reckon[kind](costs, s, n, workers)
    if not best or one.seconds < 0.95 * best.seconds then best = one end
    local before = workers
    workers = math.min(workers * 2, n, most)
  until wish or workers <= before
  return best
end

---What n items would take under each model that there is, with the workers that suit it.
---@param costs braid.Costs
---@param s braid.Sample
---@param n integer
---@param wish integer? so many workers there may be
---@return table<string, braid.Prediction>
function M.all(costs, s, n, wish)
  local predictions = {
    inline = reckon.inline(costs, s, n), tasks = reckon.tasks(costs, s, n, math.min(wish or MOST.tasks, n)),
    kernel = s.kernel and reckon.kernel(costs, s, n),
  }
  if s.refusal then return predictions end
  for _, kind in ipairs { "threads", "processes" } do
    if costs[kind] then predictions[kind] = best_remote(kind, costs, s, n, wish) end
  end
  return predictions
end

return M
