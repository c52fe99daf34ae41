-- SPDX-License-Identifier: MIT
--- One run of a program under a simulation: one schedule.
local clocks = require "braid.testing.clock"
local errors = require "braid.errors"
local pools = require "braid.pools.registry"
local stand_in = require "braid.testing.stand_in"
local tasks = require "braid.tasks.task"
local traces = require "braid.testing.trace"

local M = {}

---A program and the way in which it is run.
---@class braid.testing.Program
---@field fn fun(): ...
---@field simulation userdata
---@field strategy string
---@field real_clock boolean
---@field start number
---@field real_pools boolean
---@field most integer steps
---@field invariant (fun(): boolean?)?

---@class braid.testing.Outcome
---@field ok boolean
---@field results table packed results of the program
---@field err any
---@field place string? where the error came from
---@field steps integer
---@field seconds number of the run's clock
---@field trace braid.testing.Trace?
---@field interrupted boolean? by SIGINT, which is no failure of the program

local active -- the clock of the attempt that runs

---The clock of the attempt that runs, or nil.
---@return braid.testing.Clock?
function M.clock() return active end

-- What the simulation says, where the program does not say it itself.
local function judge(outcome, verdict, broken, most)
  local err = outcome.err
  if verdict == "invariant" then
    outcome.ok, outcome.place = false, nil
    outcome.err = broken == nil and errors.new(nil, "the invariant does not hold") or broken
  elseif verdict == "limit" then
    outcome.ok, outcome.place = false, nil
    outcome.err = errors.new("limit", ("the program has not ended after %d steps"):format(most))
  elseif verdict == "deadlock" and outcome.ok then
    outcome.ok, outcome.err = false, errors.new("deadlock", "nothing was left that could wake anybody")
  end
  local by_host = type(err) == "string" and err:find "interrupted!$" -- the interpreter's own handler of SIGINT
  outcome.interrupted = by_host or (verdict == "sound" and errors.is_error(err, "interrupted"))
end

-- Prepares what belongs to the whole state; returns the function that puts it back.
local function enter(program, seed, outcome)
  local chance = math.random(0)
  math.randomseed(seed)
  local handler = errors.swap_handler(function(err, place)
    if outcome.reported == nil then outcome.reported, outcome.reported_place = err, place end
  end)
  local pool_maker = pools.swap_stand_in(not program.real_pools and stand_in.maker() or nil)
  tasks.let_runs_nest(true)
  return function()
    tasks.let_runs_nest(false)
    pools.swap_stand_in(pool_maker)
    errors.swap_handler(handler)
    math.randomseed(chance)
    active = nil
  end
end

---Runs the program once.
---@param program braid.testing.Program
---@param seed integer
---@param repeats boolean? the simulation repeats the choices that it has
---@param traced integer? the step with which a trace begins; nil: none is made
---@return braid.testing.Outcome
function M.run(program, seed, repeats, traced)
  local outcome, steps = {}, traced and {} or nil
  local simulation = program.simulation
  local leave = enter(program, seed, outcome)
  simulation:begin(program.strategy, seed, {
    start = program.start, most = program.most, invariant = program.invariant, trace = steps,
    trace_from = traced,
    real = program.real_clock, repeats = repeats, solitary = not program.real_pools,
  })
  local clock = clocks.new(simulation, true, false, program.real_clock)
  active = clock
  local results = table.pack(errors.try(tasks.run, program.fn))
  local verdict, broken, count, seconds, recorded = simulation:finish()
  clocks.retire(clock)
  leave()
  outcome.ok, outcome.steps, outcome.seconds = results[1], count, seconds
  if results[1] then
    outcome.results = table.pack(table.unpack(results, 2, results.n))
  else
    outcome.err, outcome.place = results[2], results[3]
  end
  judge(outcome, verdict, broken, program.most)
  if outcome.ok and outcome.reported ~= nil then
    outcome.ok, outcome.err, outcome.place = false, outcome.reported, outcome.reported_place
  end
  if traced then outcome.trace = traces.new(steps, recorded) end
  return outcome
end

return M
