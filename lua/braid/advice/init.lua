-- SPDX-License-Identifier: MIT
-- Advises a model: measures a sample, and estimates the time of each model with the costs of this machine. Pilot runs
-- of the models that could be best correct the estimates. A model that needs more care is chosen only if it is clearly
-- faster.
local advice = require "braid.advice.advice"
local calibration = require "braid.advice.calibration"
local clusters = require "braid.experiments.cluster"
local core = require "braid.core"
local errors = require "braid.errors"
local estimates = require "braid.advice.estimate"
local machine = require "braid.experiments.machine"
local pilot = require "braid.advice.pilot"
local profiles = require "braid.advice.profile"

local M = {}

-- A model that needs more care must be so much faster: its time is below this part of the other's.
local WORTH = 0.87

-- A model gets a pilot run if its estimate is at most so many times the best one, because estimates have errors.
local NEAR = 1.5

-- The reason why a model cannot be chosen; nil: it can.
local function obstacle(kind, p, isolate)
  local remote = kind == "threads" or kind == "processes" or kind == "cluster"
  if remote and p.refusal then return "refusal" end
  if p.failures[kind] then return "failure" end
  if isolate and kind ~= "processes" then return "isolate" end
  if kind == "tasks" and p.suspended < (1 - WORTH) * p.wall then return "nothing" end -- to overlap
  if kind == "threads" and p.unsafe then return "unsafe" end
end

local function choose(predictions, p, isolate)
  isolate = isolate and predictions.processes and not p.failures.processes
  local chosen, obstacles = nil, {}
  for _, kind in ipairs(advice.models) do
    local one = predictions[kind]
    obstacles[kind] = obstacle(kind, p, isolate)
    if one and not obstacles[kind] and (not chosen or one.seconds < WORTH * chosen.seconds) then chosen = one end
  end
  return chosen, obstacles
end

-- The model of the next pilot run: the chosen one, then one whose estimate is near it, or near the first estimate.
local function untried(predictions, chosen, obstacles, estimated)
  local function open(one) return one and not one.pilot and not obstacles[one.model] end
  if open(chosen) then return chosen end
  for _, kind in ipairs(advice.models) do
    local one = predictions[kind]
    if open(one) and one.seconds < NEAR * math.max(chosen.seconds, estimated) then return one end
  end
end

local known = {
  items = "integer", workers = "integer", isolate = "boolean", kernel = "function", cluster = "table",
  lang = "string",
}

local function check(fn, sample, opts)
  errors.check_function(2, "advise", "fn", fn)
  if type(sample) ~= "table" or (sample.n or #sample) == 0 then
    errors.misuse(2, "bad argument 'sample' to 'advise' (a list of items that is not empty expected, got %s)",
      type(sample) == "table" and "an empty one" or "a " .. type(sample))
  end
  errors.check_options(2, "advise", opts, known)
  clusters.check("advise", opts and opts.cluster)
  for _, name in ipairs { "items", "workers" } do
    if opts and opts[name] and opts[name] < 1 then
      errors.misuse(2, "bad option '%s' to 'advise' (an integer from 1 expected, got %d)", name, opts[name])
    end
  end
  if opts and opts.lang and not advice.languages[opts.lang] then
    errors.misuse(2, "bad option 'lang' to 'advise' (\"zh\" or \"en\" expected, got %q)", opts.lang)
  end
end

---@class braid.Case
---@field fn fun(item: any): any
---@field items any[] the items of the sample
---@field count integer the number of items to advise for
---@field kernel? fun(items: any[]): any
---@field cluster? braid.cluster.Cluster
---@field costs braid.Costs
---@field profile braid.Profile

-- Makes a pilot run of a model. The function may fail in it.
local function try(one, case)
  local ok, failure = pcall(pilot.run, one, case)
  if ok then return end
  core.checkpoint() -- raises if it was the caller that was cancelled
  if one.model == "inline" then core.rethrow(failure) end
  case.profile.failures[one.model] = tostring(failure)
end

---Runs fn(item) here for each item of the sample, the first item twice. Then the models that could be best make pilot
---runs with the sample. Advises which model to use for many such items. The first call measures this machine. That
---takes some tenths of a second, as each pilot run does. Call it while nothing else runs: if other programs have used
---the machine meanwhile, the advice says so, and its `certainty` is "low". Suspends.
---@param fn fun(item: any): any
---@param sample any[] not empty; the more similar to the other items, the better
---@param opts { items: integer?, workers: integer?, isolate: boolean?, kernel: function?,
--- cluster: (braid.cluster.Cluster|table)?, lang: "zh"|"en"? }? items: the number of items to advise for (default: the
--- sample's); workers: the number of workers (default: estimated); isolate: a crash must not end the program; kernel:
--- the same work in native code, called with all items at once; cluster: one more model, a cluster or the options of
--- braid.cluster; lang: the language of the text
function M.advise(fn, sample, opts)
  check(fn, sample, opts)
  opts = opts or {}
  local named <close> = clusters.hold(opts.cluster)
  local n, costs, others = opts.items or sample.n or #sample, calibration.costs_with(named.cluster), machine.others()
  local p = profiles.measure(fn, sample)
  if opts.kernel then profiles.measure_kernel(p, opts.kernel, sample) end
  local case = {
    fn = fn, items = sample, count = n, kernel = opts.kernel, cluster = named.cluster, costs = costs, profile = p,
  }
  local predictions = estimates.all(costs, p, n, opts.workers)
  local chosen, obstacles = choose(predictions, p, opts.isolate)
  local candidate, estimated = chosen, chosen.seconds
  while candidate do
    try(candidate, case)
    chosen, obstacles = choose(predictions, p, opts.isolate)
    candidate = untried(predictions, chosen, obstacles, estimated)
  end
  p.results = nil
  return advice.new {
    model = chosen.model, workers = chosen.workers, chunk = chosen.chunk, predicted = chosen.seconds, items = n,
    predictions = predictions, obstacles = obstacles, profile = p, costs = costs, isolate = opts.isolate,
    others = not named.cluster and others() or nil, -- its workers may be on this machine
    lang = opts.lang or "zh", load = machine.facts().load,
  }
end

---The document's decision tree with the costs of this machine.
---@param lang "zh"|"en"|nil default "zh"
---@return string
function M.tree(lang)
  return advice.tree(calibration.costs(), lang or "zh")
end

return M
