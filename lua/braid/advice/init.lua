-- SPDX-License-Identifier: MIT
-- Which model fits: a sample is measured, and this machine's costs give an estimate of what each model would take.
-- Pilot runs of those that could be best correct the estimates. The least is chosen.
local advice = require "braid.advice.advice"
local calibration = require "braid.advice.calibration"
local core = require "braid.core"
local errors = require "braid.errors"
local estimates = require "braid.advice.estimate"
local pilot = require "braid.advice.pilot"
local profiles = require "braid.advice.profile"

local M = {}

-- A model that is more to handle must be so much faster.
local WORTH = 0.87

-- A model has a pilot run if it is estimated to take at most so many times as long as the best: estimates err.
local NEAR = 1.5

-- Why a model cannot be taken, if so.
local function obstacle(kind, p, isolate)
  local remote = kind == "threads" or kind == "processes"
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

-- The model of the next pilot run: the chosen one, then what is near it, or near the first estimate.
local function untried(predictions, chosen, obstacles, estimated)
  local function open(one) return one and not one.pilot and not obstacles[one.model] end
  if open(chosen) then return chosen end
  for _, kind in ipairs(advice.models) do
    local one = predictions[kind]
    if open(one) and one.seconds < NEAR * math.max(chosen.seconds, estimated) then return one end
  end
end

local known = {
  items = "integer", workers = "integer", isolate = "boolean", kernel = "function", lang = "string",
}

local function check(fn, sample, opts)
  errors.check_function(2, "advise", "fn", fn)
  if type(sample) ~= "table" or (sample.n or #sample) == 0 then
    errors.misuse(2, "bad argument 'sample' to 'advise' (a list of items that is not empty expected, got %s)",
      type(sample) == "table" and "an empty one" or "a " .. type(sample))
  end
  errors.check_options(2, "advise", opts, known)
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
---@field items any[] the sample's
---@field count integer for how many
---@field kernel? fun(items: any[]): any
---@field costs braid.Costs
---@field profile braid.Profile

-- A model's pilot run; what is run may fail there.
local function try(one, case)
  local ok, failure = pcall(pilot.run, one, case)
  if ok then return end
  core.checkpoint() -- was it the caller that was cancelled?
  if one.model == "inline" then core.rethrow(failure) end
  case.profile.failures[one.model] = tostring(failure)
end

---Runs fn(item) for each item of the sample, here and now, the first one twice. Then models that could be best have a
---pilot run, in which the sample is run again. Advises which one to use for many such items. The first call measures
---this machine, which takes some tenths of a second, as does each pilot run. Call it when nothing else runs. Suspends.
---@param fn fun(item: any): any
---@param sample any[] not empty; more like the others say more
---@param opts { items: integer?, workers: integer?, isolate: boolean?, kernel: function?, lang: "zh"|"en"? }?
--- items: for how many (default: the sample's); workers: how many there may be; isolate: a crash must not take
--- the program with it; kernel: the same in native code, given all items at once; lang: of what is printed
---@return braid.Advice
function M.advise(fn, sample, opts)
  check(fn, sample, opts)
  opts = opts or {}
  local n, costs, p = opts.items or sample.n or #sample, calibration.costs(), profiles.measure(fn, sample)
  if opts.kernel then profiles.measure_kernel(p, opts.kernel, sample) end
  local case = { fn = fn, items = sample, count = n, kernel = opts.kernel, costs = costs, profile = p }
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
    lang = opts.lang or "zh",
  }
end

---The document's decision tree with this machine's costs.
---@param lang "zh"|"en"|nil "zh"
---@return string
function M.tree(lang)
  return advice.tree(calibration.costs(), lang or "zh")
end

return M
