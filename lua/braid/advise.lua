-- SPDX-License-Identifier: MIT
-- Which model fits: a sample is run and measured, what each model would make of it is reckoned with this machine's
-- costs, and the least is chosen.
local advice = require "braid.advice"
local calibration = require "braid.calibration"
local errors = require "braid.errors"
local samples = require "braid.sample"
local core = require "braid.core"

local M = {}

-- A chunk is to take so long, so that what a job costs does not count.
local CHUNK_SECONDS = 1e-3

-- A model that is more to handle must be so much faster.
local WORTH = 0.9

local MOST = { tasks = 1000, threads = 256, processes = 32 }

-- ---- what each model would take -------------------------------------------------------------------------------------

local function fitting_chunk(s, n, workers)
  local fair = n // (workers * 4)
  return math.max(1, math.min(math.floor(CHUNK_SECONDS / math.max(s.wall, 1e-9)), fair))
end

local function predict_inline(costs, s, n)
  local chunk = fitting_chunk(s, n, 1)
  local cost = costs.inline.item + costs.inline.job / chunk
  return { model = "inline", workers = 1, chunk = chunk, seconds = n * (s.wall + cost) }
end

-- The items' own steps one after the other, their waits beside each other.
local function predict_tasks(costs, s, n, wish)
  local workers = math.min(wish or MOST.tasks, n)
  local cpu = s.together or s.cpu + costs.tasks.job
  local held = cpu + s.blocked
  local rounds = math.ceil(n / workers)
  local seconds = math.max(n * held + s.suspended, rounds * s.wall, n * (cpu + s.elsewhere) / costs.gain, s.longest)
  return { model = "tasks", workers = workers, chunk = 1, seconds = seconds + costs.tasks.start }
end

-- Whatever is slowest: the caller's own part, all computing on all cores and the last wait, or the rounds of a worker.
local function predict_remote(kind, costs, s, n, workers)
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
  local seconds = math.max(n * here, cpu, rounds, s.longest) + cost.job
  return { model = kind, workers = workers, chunk = chunk,
    seconds = seconds + cost.start + cost.worker * (workers - 1) + s.warm_up * workers / gain }
end

-- The number of workers that is predicted to be best: waits want many, computing wants the cores.
local function best_remote(kind, costs, s, n, wish)
  local best
  local waits = s.blocked + s.suspended > 0.1 * s.wall
  local most = waits and MOST[kind] or costs.cores
  local workers = wish or math.min(costs.cores, n)
  repeat
    local predicted = predict_remote(kind, costs, s, n, workers)
    if not best or predicted.seconds < 0.95 * best.seconds then best = predicted end
    local before = workers
    workers = math.min(workers * 2, n, most)
  until wish or workers <= before
  return best
end

-- A kernel is given all items at once.
local function measure_kernel(kernel, sample, n)
  local count = sample.n or #sample
  kernel(sample) -- starts its threads
  local began = core.now()
  kernel(sample)
  return { model = "kernel", workers = core.cpu_count(), chunk = 1, seconds = (core.now() - began) / count * n }
end

-- ---- the choice -----------------------------------------------------------------------------------------------------

-- Why a model cannot be taken, if so.
local function obstacle(kind, s, isolate)
  local remote = kind == "threads" or kind == "processes"
  if remote and s.refusal then return "refusal" end
  if s.failures[kind] then return "failure" end
  if isolate and kind ~= "processes" then return "isolate" end
  if kind == "threads" and s.unsafe then return "unsafe" end
end

local ORDER = { "inline", "tasks", "threads", "processes", "kernel" }

local function choose(predictions, obstacles)
  local chosen
  for _, kind in ipairs(ORDER) do
    local one = predictions[kind]
    if one and not obstacles[kind] and (not chosen or one.seconds < WORTH * chosen.seconds) then chosen = one end
  end
  return chosen
end

local function predict_all(costs, s, n, opts)
  local predictions = {
    inline = predict_inline(costs, s, n), tasks = predict_tasks(costs, s, n, opts.workers),
  }
  if s.refusal then return predictions end
  for _, kind in ipairs { "threads", "processes" } do
    if costs[kind] then predictions[kind] = best_remote(kind, costs, s, n, opts.workers) end
  end
  return predictions
end

-- The predictions, what stands in the way of some, and the choice.
local function weigh(costs, s, n, opts, kernel)
  local predictions, obstacles = predict_all(costs, s, n, opts), {}
  predictions.kernel = kernel
  local isolate = opts.isolate and predictions.processes ~= nil and not s.refusal
  for _, kind in ipairs(ORDER) do obstacles[kind] = obstacle(kind, s, isolate) end
  return predictions, obstacles, choose(predictions, obstacles)
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

---Runs fn(item) once for each item of the sample, here and now, and advises which model to use for many of them. What
---lets others run while it waits is run again, 16 items side by side; before threads or processes are advised, the
---first item is run once more in such a worker, to see that it works there. The first call measures this machine, which
---takes some tenths of a second. Call it when nothing else runs. Suspends.
---@param fn fun(item: any): any
---@param sample any[] not empty; more like the others say more
---@param opts { items: integer?, workers: integer?, isolate: boolean?, kernel: function?, lang: "zh"|"en"? }?
--- items: for how many (default: the sample's); workers: how many there may be; isolate: a crash must not take
--- the program with it; kernel: the same in native code, given all items at once; lang: of what is printed
---@return braid.Advice
function M.advise(fn, sample, opts)
  check(fn, sample, opts)
  opts = opts or {}
  local n = opts.items or sample.n or #sample
  local costs = calibration.costs()
  local s = samples.measure(fn, sample)
  local kernel = opts.kernel and measure_kernel(opts.kernel, sample, n)
  if n > 1 and s.suspended > 0.1 * s.wall then samples.try_together(s, fn, sample, n) end
  local predictions, obstacles, chosen = weigh(costs, s, n, opts, kernel)
  local tried = {}
  while (chosen.model == "threads" or chosen.model == "processes") and not tried[chosen.model] do
    tried[chosen.model] = true
    samples.try_out(s, chosen.model, fn, sample[1])
    predictions, obstacles, chosen = weigh(costs, s, n, opts, kernel)
  end
  s.results = nil
  return advice.new {
    model = chosen.model, workers = chosen.workers, chunk = chosen.chunk, predicted = chosen.seconds, items = n,
    predictions = predictions, obstacles = obstacles, sample = s, costs = costs, isolate = opts.isolate,
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
