-- SPDX-License-Identifier: MIT
-- A pilot run: a model really runs a few items, with the workers that it would have. The time corrects the estimate.
local core = require "braid.core"
local pools = require "braid.pools.pool"
local estimates = require "braid.advice.estimate"
local statistics = require "braid.experiments.statistics"

local M = {}

-- The items of a pilot run should take at most SECONDS. They are run again until they have taken TOGETHER in all: short
-- runs more often, because a moment without the core is a large part of them.
local SECONDS, TOGETHER, MOST_TIMES = 0.1, 0.2, 15

-- Limits for items that wait: they may load somebody's server.
local MOST_WAITING, MOST_TIMES_WAITING = 64, 5

-- If items take so many times the estimate, they hinder each other, for example at a server that answers a few at a
-- time. Then more items take proportionally longer.
local IN_THE_WAY = 1.5

---@class braid.Pilot
---@field items integer
---@field seconds number for all items, after the warm-up
---@field estimated number the estimate for them in seconds

-- The number of items: all, or the sample repeated as often as the estimate allows.
local function fitting_count(case, estimated)
  local n, most = case.count, estimates.waits(case.profile) and MOST_WAITING or math.huge
  local count = math.min(case.profile.count, n)
  local more, enough = math.min(2 * count, n), math.max(SECONDS, 1.2 * estimated(count).steady)
  while more > count and more <= most and estimated(more).steady <= enough do
    count, more = more, math.min(2 * more, n)
  end
  return count
end

-- The items of the sample, repeated up to this number.
local function repeated(case, count)
  local list, n = { n = count }, case.profile.count
  for i = 1, count do list[i] = case.items[(i - 1) % n + 1] end
  return list
end

-- Opens the pool of a prediction. Returns it, and a function that runs a list in it. A kernel has no pool.
local function open(one, chunk, case)
  if one.model == "kernel" then return nil, function(list) case.kernel(list) end end
  local pool = one.model == "cluster" and case.cluster:pool() or pools.pool(one.model, one.workers)
  return pool, function(list, careful)
    local _, failures = pool:map(case.fn, list, { chunk = chunk, return_errors = careful })
    if failures and next(failures) then error(select(2, next(failures)), 0) end
  end
end

-- Runs the first items as a warm-up, and then all items, several times if they are quick. Returns the seconds for all
-- items, and the seconds to open, warm up and close.
local function time_items(one, chunk, case, first, items)
  local most = estimates.waits(case.profile) and MOST_TIMES_WAITING or MOST_TIMES
  local began, times = core.now(), {}
  local warm, last
  do
    local held <close>, map = open(one, chunk, case)
    map(first, true)
    warm = core.now()
    last = warm
    repeat
      map(items)
      local ended = core.now()
      times[#times + 1], last = ended - last, ended
    until #times == most or last - warm > TOGETHER
  end
  -- other load makes some runs longer, and none shorter
  return statistics.spread(times).low, warm - began + core.now() - last
end

---Runs a few items and corrects the prediction: the time of the items, and the start time of workers. (Other models
---have no start time, because what was warmed up here stays warm.) Errors of the items are raised. Suspends.
---@param one braid.Prediction
---@param case braid.Case
function M.run(one, case)
  local function estimated(n) return estimates.one(one.model, case.costs, case.profile, n, one.workers) end
  local count = fitting_count(case, estimated)
  local first, few = math.min(one.workers, count), estimated(count)
  local seconds, around = time_items(one, few.chunk, case, repeated(case, first), repeated(case, count))
  local ratio = seconds / math.max(few.steady, 1e-9)
  one.pilot = { items = count, seconds = seconds, estimated = few.steady }
  one.steady = one.steady * ratio
  if ratio > IN_THE_WAY then one.steady = seconds * case.count / count end
  if one.model == "threads" or one.model == "processes" then
    one.start = math.max(0, around - ratio * estimated(first).steady)
  end
  one.seconds = one.start + one.steady
end

return M
