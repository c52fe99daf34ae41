-- SPDX-License-Identifier: MIT
-- A pilot run: a model runs a few items for real, with the workers that it would have. It corrects the estimate.
local core = require "braid.core"
local pools = require "braid.pools.pool"
local estimates = require "braid.advice.estimate"
local statistics = require "braid.experiments.statistics"

local M = {}

-- The items of a pilot run are to take at most so long, and are run again until they have taken so long together: short
-- ones more often, because a moment without the core is a large part of them.
local SECONDS, TOGETHER, MOST_TIMES = 0.1, 0.2, 15

-- So many items that wait are enough, so often: what they wait for may be somebody's server.
local MOST_WAITING, MOST_TIMES_WAITING = 64, 5

-- So many times as long as estimated: then the items hinder each other, as where a server answers a few at a time. More
-- of them take longer in proportion.
local IN_THE_WAY = 1.5

---@class braid.Pilot
---@field items integer
---@field seconds number for them all, when everything was warm
---@field estimated number seconds that had been estimated for them

-- All items, or the sample as often as is estimated to be over soon.
local function fitting_count(case, estimated)
  local n, most = case.count, estimates.waits(case.profile) and MOST_WAITING or math.huge
  local count = math.min(case.profile.count, n)
  local more, enough = math.min(2 * count, n), math.max(SECONDS, 1.2 * estimated(count).steady)
  while more > count and more <= most and estimated(more).steady <= enough do
    count, more = more, math.min(2 * more, n)
  end
  return count
end

-- The sample's items, begun again as often as need be.
local function repeated(case, count)
  local list, n = { n = count }, case.profile.count
  for i = 1, count do list[i] = case.items[(i - 1) % n + 1] end
  return list
end

-- The pool of a prediction, and what runs a list in it, where failures may be expected. A kernel has no pool.
local function open(one, chunk, case)
  if one.model == "kernel" then return nil, function(list) case.kernel(list) end end
  local pool = pools.pool(one.model, one.workers)
  return pool, function(list, careful)
    local _, failures = pool:map(case.fn, list, { chunk = chunk, return_errors = careful })
    if failures and next(failures) then error(select(2, next(failures)), 0) end
  end
end

-- Runs the first items, which warm everything up, and then all items, several times where that is soon done. Returns
-- the seconds that these took, and those that opening, the first ones and closing took.
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
  -- The lower quartile: what others do meanwhile makes some runs longer, and none shorter.
  return statistics.spread(times).low, warm - began + core.now() - last
end

---Runs a few items and corrects the prediction: the items' time, and the start of workers; others do not have that, for
---what was warmed up here stays warm. What the items raise is raised. Suspends.
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
