-- SPDX-License-Identifier: MIT
-- Measures the same work under each model: a warm-up, rounds until the medians are stable, and one more round that
-- records each item and compares the results.
local clusters = require "braid.experiments.cluster"
local core = require "braid.core"
local errors = require "braid.errors"
local machine = require "braid.experiments.machine"
local pools = require "braid.pools.pool"
local progress = require "braid.progress"
local report = require "braid.experiments.report"
local statistics = require "braid.experiments.statistics"

local M = {}

local LEAST_ROUNDS, MOST_ROUNDS = 5, 50 -- fewer than five runs prove no difference

local function nothing() end

-- ---- one item, watched ----------------------------------------------------------------------------------------------

-- Wraps `work` for the workers: returns its result, the start and end time, where it ran, and its processor time.
local function watched(work)
  return function(item)
    local began, used = core.now(), core.thread_time()
    local value = work(item)
    return { value = value, began = began, ended = core.now(), cpu = core.thread_time() - used,
      where = ("%s:%d:%d"):format(core.host_name(), core.pid(), core.thread_id()) }
  end
end

-- ---- a model --------------------------------------------------------------------------------------------------------

---@class braid.ModelSpec
---@field kind "inline"|"tasks"|"threads"|"processes"|"kernel"|"cluster"
---@field name string? the name in the report; default: the kind
---@field workers integer? not of a cluster: it has those that were started
---@field chunk integer? as for map

local model_options = { kind = "string", name = "string", workers = "integer", chunk = "integer" }

local kinds = { inline = true, tasks = true, threads = true, processes = true, kernel = true, cluster = true }

local function read_model(entry, opts)
  if type(entry) == "string" then entry = { kind = entry } end
  errors.check_options(3, "experiment's models", entry, model_options)
  if not kinds[entry.kind] then
    errors.misuse(3, "bad option 'models' to 'experiment' (\"inline\", \"tasks\", \"threads\", \"processes\", " ..
      "\"kernel\" or \"cluster\" expected, got %s)", tostring(entry.kind))
  elseif entry.kind == "kernel" and not opts.kernel then
    errors.misuse(3, "the model \"kernel\" needs the option 'kernel', a function of all items")
  elseif entry.kind == "cluster" and not opts.cluster then
    errors.misuse(3, "the model \"cluster\" needs the option 'cluster', a cluster or the options of braid.cluster")
  elseif entry.kind == "cluster" and entry.workers then
    errors.misuse(3, "bad option 'workers' to the model \"cluster\" (it has the workers that were started)")
  end
  return {
    kind = entry.kind, name = entry.name or entry.kind,
    workers = entry.kind ~= "cluster" and (entry.workers or opts.workers) or nil,
    chunk = entry.chunk or opts.chunk, times = {},
  }
end

-- Makes the model's pool and measures the time until the first job is back.
local function open_model(model, cluster)
  local began = core.now()
  if model.kind == "cluster" then
    model.pool, model.workers = clusters.open(cluster)
  elseif model.kind ~= "kernel" then
    model.pool = pools.pool(model.kind, model.kind ~= "inline" and model.workers or nil)
    model.pool:submit(nothing):result()
    model.workers = model.kind ~= "tasks" and model.pool:stats().workers or model.workers
  end
  model.start = core.now() - began
end

local function run_model(model, opts, work)
  if model.kind == "kernel" then return opts.kernel(opts.items) end
  return model.pool:map(work, opts.items, { chunk = model.chunk })
end

local function time_model(model, opts)
  collectgarbage()
  local began = core.now()
  run_model(model, opts, opts.work)
  return core.now() - began
end

-- ---- what one more run shows ----------------------------------------------------------------------------------------

local function lanes_by_worker(spans)
  local lanes, by_worker = {}, {}
  for _, span in ipairs(spans) do
    local lane = by_worker[span.where]
    if not lane then
      lane = {}
      by_worker[span.where] = lane
      lanes[#lanes + 1] = lane
    end
    lane[#lane + 1] = span
  end
  return lanes
end

-- Tasks share one thread: a span goes to the first free lane.
local function lanes_by_overlap(spans)
  local lanes = {}
  for _, span in ipairs(spans) do
    local place = 1
    while lanes[place] and lanes[place][#lanes[place]].stop > span.start do place = place + 1 end
    lanes[place] = lanes[place] or {}
    table.insert(lanes[place], span)
  end
  return lanes
end

-- Other machines count their time from another moment: an item that seems to be outside of the run was there, so the
-- first one of its thread counts as begun with the run.
local function align(records, began, ended)
  local first, shift = {}, {}
  for i = 1, records.n do
    local record = records[i]
    local where = record.where
    first[where] = math.min(first[where] or math.huge, record.began)
    if record.began < began or record.ended > ended then shift[where] = true end
  end
  for i = 1, records.n do
    local record = records[i]
    local zero = first[record.where]
    if shift[record.where] then
      record.began, record.ended = began + (record.began - zero), began + (record.ended - zero)
    end
  end
end

local function read_spans(model, records, began)
  local spans, total = {}, 0
  for i = 1, records.n do
    local record = records[i]
    local wall = record.ended - record.began
    spans[i] = {
      start = record.began - began, stop = record.ended - began, where = record.where, name = ("item %d"):format(i),
      load = wall > 0 and math.min(1, record.cpu / wall) or 1,
    }
    total = total + wall
  end
  -- Tasks share a thread and its clock: each gets the mean.
  if model.kind == "tasks" then
    for _, span in ipairs(spans) do span.load = total > 0 and math.min(1, model.cpu / total) or 1 end
  end
  table.sort(spans, function(a, b) return a.start < b.start end)
  model.lanes = model.kind == "tasks" and lanes_by_overlap(spans) or lanes_by_worker(spans)
end

-- Runs once more, for processor time, cores in use and the timeline. Returns the results.
local function watch_model(model, opts)
  collectgarbage()
  local began, here, process = core.now(), core.thread_time(), os.clock()
  if model.kind == "kernel" then
    local results = run_model(model, opts)
    model.cpu, model.wall = os.clock() - process, core.now() - began
    return results
  end
  local records = run_model(model, opts, watched(opts.work))
  model.wall = core.now() - began
  model.cpu = core.thread_time() - here
  if model.kind == "cluster" then align(records, began, began + model.wall) end
  read_spans(model, records, began)
  local results = { n = records.n }
  for i = 1, records.n do
    results[i] = records[i].value
    if model.kind ~= "inline" and model.kind ~= "tasks" then model.cpu = model.cpu + records[i].cpu end
  end
  return results
end

-- ---- comparing ------------------------------------------------------------------------------------------------------

local function same(a, b, seen)
  if a == b or a ~= a and b ~= b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  if seen[a] == b then return true end
  seen[a] = b
  for key, value in pairs(a) do
    if not same(value, b[key], seen) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- The first index at which two lists of results differ; nil if there is none.
local function difference(expected, results, n)
  for i = 1, n do
    if not same(expected[i], results[i], {}) then return i end
  end
end

-- ---- the rounds -----------------------------------------------------------------------------------------------------

local function is_finished(model, opts)
  local count = #model.times
  if opts.repeats then return count >= opts.repeats end
  return count >= MOST_ROUNDS or statistics.settled(model.times)
end

-- Each round runs every model once, so that other load of the machine affects all models.
local function run_rounds(models, opts, bar, deadline)
  local active, short
  repeat
    active, short = false, false
    for _, model in ipairs(models) do
      local needed = not opts.repeats and #model.times < LEAST_ROUNDS
      if not is_finished(model, opts) and (needed or #model.times == 0 or core.now() < deadline) then
        model.times[#model.times + 1] = time_model(model, opts)
        active = active or not is_finished(model, opts)
        short = short or not opts.repeats and #model.times < LEAST_ROUNDS
        if bar then bar:advance() end
      end
    end
  until not active or (core.now() >= deadline and not short)
end

local function warm_up(models, opts, cluster, bar)
  for _, model in ipairs(models) do
    open_model(model, cluster)
    for _ = 1, opts.warmup or 1 do
      run_model(model, opts, opts.work)
      if bar then bar:advance() end
    end
  end
end

local function conclude(models, opts, bar)
  local expected
  for _, model in ipairs(models) do
    local results = watch_model(model, opts)
    if bar then bar:advance() end
    expected = expected or results
    if opts.verify ~= false then model.differs = difference(expected, results, opts.items.n or #opts.items) end
    for name, value in pairs(statistics.spread(model.times)) do model[name] = value end
  end
end

local known = {
  name = "string", work = "function", items = "table", models = "table", repeats = "integer", warmup = "integer",
  workers = "integer", chunk = "integer", limit = "number", verify = "boolean", kernel = "function",
  cluster = "table", progress = "boolean|table",
}

local function check(opts)
  if opts == nil then errors.misuse(2, "bad argument 'opts' to 'experiment' (a table expected, got nil)") end
  errors.check_options(2, "experiment", opts, known)
  errors.check_function(2, "experiment", "work", opts.work)
  clusters.check("experiment", opts.cluster)
  if not opts.items or (opts.items.n or #opts.items) == 0 then
    errors.misuse(2, "bad option 'items' to 'experiment' (a list that is not empty expected)")
  end
  if opts.models and #opts.models == 0 then
    errors.misuse(2, "bad option 'models' to 'experiment' (a list that is not empty expected)")
  end
  for _, name in ipairs { "repeats", "workers", "chunk", "limit" } do
    if opts[name] and opts[name] <= 0 then
      errors.misuse(2, "bad option '%s' to 'experiment' (a number above 0 expected, got %s)", name, opts[name])
    end
  end
end

local function read_models(opts)
  local list = opts.models
  if not list then
    list = pools.kinds()
    if opts.kernel then list[#list + 1] = "kernel" end
    if opts.cluster then list[#list + 1] = "cluster" end
  end
  local models = {}
  for i, entry in ipairs(list) do models[i] = read_model(entry, opts) end
  return models
end

local function close_pools(models)
  return setmetatable({}, { __close = function()
    for _, model in ipairs(models) do
      if model.pool then model.pool:close() end
      model.pool = nil
    end
  end })
end

local function measure(models, opts, bar)
  local named <close> = clusters.hold(opts.cluster)
  local held <close> = close_pools(models)
  local deadline = core.now() + (opts.limit or 30)
  warm_up(models, opts, named.cluster, bar)
  run_rounds(models, opts, bar, deadline)
  conclude(models, opts, bar)
end

---@class braid.ExperimentOptions
---@field name string? the report's title
---@field work fun(item: any): any is called with each item
---@field items any[]
---@field models (string|braid.ModelSpec)[]? default: all; the others are compared with the first
---@field repeats integer? measured runs of each model; default: until the standard error of the median is below 2 %, at
--- least five runs and at most fifty
---@field warmup integer? runs before the measured ones; default 1
---@field workers integer? of tasks, threads and processes; default: that of each pool
---@field chunk integer? as for map
---@field limit number? seconds after which no further round begins, once each model has five runs; default 30
---@field verify boolean? false: the results of the models may differ
---@field kernel (fun(items: any[]): any[])? the same work in native code, for the model "kernel"
---@field cluster (braid.cluster.Cluster|table)? for the model "cluster": a cluster, or the options of braid.cluster
---@field progress (boolean|table)? a bar on stderr

---Does the same work under each model and measures it. The pools are opened before the clock starts; the time for that
---is a column of its own. Errors of `work` are raised. Suspends.
---@param opts braid.ExperimentOptions
---@return braid.Report
function M.experiment(opts)
  check(opts)
  local models = read_models(opts)
  local facts, time, others = machine.facts(), os.time(), machine.others()
  local bar, held <close> = progress.from_option(opts.progress, nil, "runs")
  measure(models, opts, bar)
  facts.others = not opts.cluster and others() or nil -- workers of a cluster may be on this machine
  return report.new(opts, models, facts, time)
end

return M
