-- SPDX-License-Identifier: MIT
-- A trial: a model runs a few items for real, with the workers that it would have, and that corrects what was reckoned.
local core = require "braid.core"
local pools = require "braid.pool"
local reckoning = require "braid.reckoning"
local statistics = require "braid.statistics"

local M = {}

-- A trial is to take so long, where the items let it.
local SECONDS, MOST_TIMES = 0.1, 5

-- So many items that wait are enough: what they wait for may be somebody's server.
local MOST_WAITING = 64

---@class braid.Trial
---@field items integer
---@field seconds number for them all, when everything was warm
---@field reckoned number seconds that had been reckoned for them

-- All items, or the sample as often as is reckoned to be over soon.
local function fitting_count(case, reckoned)
  local s, n = case.sample, case.count
  local count = math.min(s.count, n)
  local enough = math.max(SECONDS, 1.2 * reckoned(count).steady)
  local most = reckoning.waits(s) and math.min(n, MOST_WAITING) or n
  while count < most and reckoned(math.min(2 * count, n)).steady <= enough do count = math.min(2 * count, n) end
  return count
end

-- The sample's items, begun again as often as need be.
local function repeated(case, count)
  local list, n = {}, case.sample.count
  for i = 1, count do list[i] = case.items[(i - 1) % n + 1] end
  return list
end

-- The pool of a prediction, and what runs a list in it. A kernel has no pool.
local function open(one, chunk, case)
  if one.model == "kernel" then return nil, case.kernel end
  local pool = pools.pool(one.model, one.workers)
  return pool, function(list) pool:map(case.fn, list, { chunk = chunk }) end
end

-- Runs the first items, which warm everything up, and then all items, several times where that is soon done. Returns
-- the seconds that these took, and those that opening, the first ones and closing took.
local function run(one, chunk, case, first, items)
  local began, times = core.now(), {}
  local warm, last
  do
    local held <close>, map = open(one, chunk, case)
    map(first)
    warm = core.now()
    last = warm
    repeat
      map(items)
      local ended = core.now()
      times[#times + 1], last = ended - last, ended
    until #times == MOST_TIMES or last - warm > SECONDS
  end
  return statistics.median(times), warm - began + core.now() - last
end

---Runs a few items and corrects the prediction: the items' time in proportion; and the start of workers, which others
---do not have, for what was warmed up here stays warm. What the items raise is raised. Suspends.
---@param one braid.Prediction
---@param case braid.Case
function M.try(one, case)
  local function reckoned(n) return reckoning.reckon(one.model, case.costs, case.sample, n, one.workers) end
  local count = fitting_count(case, reckoned)
  local first, few = math.min(one.workers, count), reckoned(count)
  local seconds, around = run(one, few.chunk, case, repeated(case, first), repeated(case, count))
  local ratio = seconds / math.max(few.steady, 1e-9)
  one.trial = { items = count, seconds = seconds, reckoned = few.steady }
  one.steady = one.steady * ratio
  if one.model == "threads" or one.model == "processes" then
    one.start = math.max(0, around - ratio * reckoned(first).steady)
  end
  one.seconds = one.start + one.steady
end

return M
