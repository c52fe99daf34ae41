-- SPDX-License-Identifier: MIT
--- Tests of concurrent code: programs run under a scheduler that decides by a seed, and in virtual time.
local attempts = require "braid.testing.attempt"
local clocks = require "braid.testing.clock"
local core = require "braid.core"
local errors = require "braid.errors"
local failures = require "braid.testing.failure"
local leaks = require "braid.testing.leaks"
local schedules = require "braid.testing.schedule"
local search = require "braid.testing.search"

local M = {}

local SEED, MOST_SCHEDULES = 1, 100000
local MOST_STEPS = { one = 10000000, many = 1000000 }

-- Makes Lua's collector come rarely, so that objects hardly ever end by chance in the middle of a schedule. Returns the
-- function that puts it back.
local function hold_collector()
  local MOST_GARBAGE, MOST_PAUSE = 256 * 1024, 1000 -- KiB; percent
  if not collectgarbage "isrunning" then return function() end end
  local most = 100 + math.ceil(100 * MOST_GARBAGE / collectgarbage "count")
  local mode, before = collectgarbage "incremental", collectgarbage("setpause", math.min(MOST_PAUSE, most))
  collectgarbage() -- the pause counts from the end of a collection
  for _ = 1, 3 do core.checkpoint() end -- tasks that objects have started at their end
  return function()
    collectgarbage("setpause", before)
    if mode == "generational" then collectgarbage "generational" end
    collectgarbage "restart"
  end
end

local installed -- the clock outside of every run; it may have been closed

local known = {
  seed = "integer", schedules = "integer", strategy = "string", clock = "string", start = "number", pools = "string",
  max_steps = "integer", invariant = "function", schedule = "string",
}
local words = {
  strategy = { "random", "pct", "exhaustive" }, clock = { "virtual", "real" }, pools = { "tasks", "real" },
}
local ranges = { schedules = { 1 }, max_steps = { 1 }, start = { 0, 9e9 } }

local function check_word(opts, name)
  local value, allowed = opts[name], words[name]
  if value == nil then return allowed[1] end
  for _, word in ipairs(allowed) do
    if word == value then return value end
  end
  errors.misuse(2, "bad option '%s' to 'run' (\"%s\" expected, got %q)", name, table.concat(allowed, '" or "'), value)
end

local function check_schedule(opts)
  if not opts.schedule then return nil end
  local seed, choices = schedules.read(opts.schedule)
  if not seed then
    errors.misuse(2, "bad option 'schedule' to 'run' (err.schedule of a failed run expected, got %q)", opts.schedule)
  end
  return seed, choices
end

local function check_place()
  if core.current() then
    errors.misuse(2, "testing.run inside a task: like braid.run, it is the outermost call of a test")
  elseif attempts.clock() or (installed and installed._simulation) then
    errors.misuse(2, "testing.run inside of a test's virtual time: close that clock before")
  end
end

local function most_steps(opts)
  local many = not opts.schedule and (opts.strategy == "exhaustive" or (opts.schedules or 1) > 1)
  return many and MOST_STEPS.many or MOST_STEPS.one
end

---@class braid.testing.Options
---@field seed integer? of the first schedule; each further one has the next. Default 1
---@field schedules integer? how many schedules are tried; default 1, exhaustive: as many as there are, up to 100,000
---@field strategy "random"|"pct"|"exhaustive"|nil random: each decision is drawn; pct: the task with the highest of
--- random priorities goes on, and these change now and then; exhaustive: all schedules, one after the other
---@field clock "virtual"|"real"|nil
---@field start number? what the virtual clock shows at first; default 0
---@field pools "tasks"|"real"|nil tasks: jobs of threads and processes run as tasks of this state
---@field max_steps integer? a schedule that takes more fails with kind "limit"; default
--- ten million for one schedule, a million for many
---@field invariant (fun(): boolean?)? called between the steps of tasks; if it returns false or raises, the schedule
--- fails
---@field schedule string? err.schedule of a failed run: this one schedule is run

---@class braid.testing.Report
---@field seed integer of the last schedule
---@field schedules integer how many were run
---@field strategy string
---@field steps integer of the last schedule
---@field seconds number that passed in it, by its clock
---@field schedule string? its choices, if only one schedule was run
---@field complete boolean? exhaustive: whether these were all schedules

local function seek(program, opts, seed, choices)
  if choices then return search.one(program, seed, choices) end
  seed = opts.seed or SEED
  if program.strategy == "exhaustive" then
    local most = opts.schedules or MOST_SCHEDULES
    return search.all(program, seed, most), opts.schedules or "all"
  elseif (opts.schedules or 1) == 1 then
    return search.one(program, seed)
  end
  return search.many(program, seed, opts.schedules), opts.schedules
end

---Runs fn as `braid.run` does, but decides by a seed what the concurrency model leaves open: which of the ready tasks
---goes on, when a deadline takes effect, with which case a select begins. Each call that may suspend does so. A virtual
---clock goes to the next deadline at once when no task can go on; real descriptors, threads and processes hold it.
---
---With `schedules` it tries so many of them until one fails: by an error, a deadlock, a failure that nobody asked for,
---the invariant, or too many steps. Then it looks for a shorter one that fails alike, prints it, and raises the error
---with the fields `seed`, `schedule` and `trace`. The same options with that seed, or with that schedule, run it again.
---@param fn fun(): ...
---@param opts braid.testing.Options?
---@return any ... what fn returned in the last schedule, and then a braid.testing.Report
function M.run(fn, opts)
  errors.check_function(1, "run", "fn", fn)
  errors.check_options(1, "run", opts, known)
  errors.check_ranges(1, "run", opts, ranges)
  opts = opts or {}
  local program = {
    fn = fn, simulation = core.simulation_new(), strategy = check_word(opts, "strategy"),
    real_clock = check_word(opts, "clock") == "real", start = opts.start or 0,
    real_pools = check_word(opts, "pools") == "real", most = opts.max_steps or most_steps(opts),
    invariant = opts.invariant,
  }
  local seed, choices = check_schedule(opts)
  check_place()
  local release = hold_collector()
  local ok, finding, most = errors.try(seek, program, opts, seed, choices)
  release()
  if not ok then core.rethrow(finding, most) end
  local outcome = finding.outcome
  if outcome.interrupted then core.rethrow(outcome.err, outcome.place) end
  if not outcome.ok then failures.raise(finding, most) end
  local report = {
    seed = finding.seed, schedules = finding.number, strategy = program.strategy, steps = outcome.steps,
    seconds = outcome.seconds, complete = finding.complete, schedule = finding.schedule,
  }
  local results = outcome.results
  results[results.n + 1] = report
  return table.unpack(results, 1, results.n + 1)
end

---The clock of the run. Outside of `testing.run`: makes a virtual clock for this Lua state, which stands until it is
---moved, and lasts until it is closed: `local clock <close> = testing.clock()`.
---@return braid.testing.Clock
function M.clock()
  local clock = attempts.clock() or installed
  if clock and clock._simulation then return clock end
  installed = clocks.install()
  return installed
end

M.nothing_left = leaks.nothing_left

---A test of busted whose function runs as in `testing.run`.
---@param name string
---@param fn fun(): ...
---@param opts braid.testing.Options?
function M.it(name, fn, opts)
  errors.check_function(1, "it", "fn", fn)
  errors.check_options(1, "it", opts, known)
  local busted = package.loaded.busted
  local it = type(busted) == "table" and busted.it or rawget(_G, "it")
  if not it then errors.misuse(1, "testing.it needs busted: run this file with the program `busted`") end
  it(name, function() M.run(fn, opts) end)
end

return M
