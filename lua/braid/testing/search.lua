-- SPDX-License-Identifier: MIT
--- The search for a schedule that fails, and for a shorter one that fails in the same way.
local attempts = require "braid.testing.attempt"
local errors = require "braid.errors"
local schedules = require "braid.testing.schedule"

local M = {}

---What a search has found, or that it has found nothing.
---@class braid.testing.Finding
---@field outcome braid.testing.Outcome of the last schedule, or of the one that failed
---@field seed integer
---@field schedule string? its choices as text; nil: they were too many to keep
---@field number integer the number of the schedule that failed, or of all that were run
---@field complete boolean? exhaustive: whether there is no further schedule
---@field repeatable boolean? of a failure: whether it came again

-- Which failure it is, as far as two schedules can be compared.
local function mark(err)
  if errors.is_error(err) then return "kind " .. tostring(err.kind) end
  return type(err) == "string" and (err:match "^[^\n]-:%d+:" or err) or type(err)
end

local function fails_alike(outcome, like) return not outcome.ok and mark(outcome.err) == mark(like.err) end

-- ---- shorter --------------------------------------------------------------------------------------------------------

local MOST_TRIES, MOST_SECONDS = 200, 2

-- Tries schedules: `try(choices)` returns the choices that were made if it fails alike.
local function tryer(program, seed, outcome)
  local simulation, tries, latest = program.simulation, 0, os.clock() + MOST_SECONDS
  return function(choices)
    tries = tries + 1
    if tries > MOST_TRIES or os.clock() > latest then return nil end
    simulation:give(choices)
    local other = attempts.run(program, seed, true)
    local made, complete, fitted = simulation:choices()
    return fails_alike(other, outcome) and complete and fitted and made or nil
  end
end

local function prefix(choices, length) return table.move(choices, 1, length, 1, {}) end

-- The shortest beginning of the choices, in powers of two, that is enough.
local function cut(choices, try)
  local length = 0
  while length < #choices do
    local made = try(prefix(choices, length))
    if made then return prefix(made, length) end
    length = length == 0 and 1 or length * 2
  end
  return choices
end

-- Sets choices to 0, larger parts first.
local function level(choices, try)
  local size = math.max(1, #choices // 2)
  while true do
    for first = 1, #choices, size do
      local other, changed = prefix(choices, #choices), false
      for i = first, math.min(first + size - 1, #choices) do
        changed = changed or other[i] ~= 0
        other[i] = 0
      end
      local made = changed and try(other)
      if made then choices = prefix(made, math.min(#made, #choices)) end
    end
    if size == 1 then return choices end
    size = size // 2
  end
end

local function shorter(program, seed, outcome, choices)
  local try = tryer(program, seed, outcome)
  local found = level(cut(choices, try), try)
  return schedules.weight(found) <= schedules.weight(choices) and found or choices
end

-- ---- a failure ------------------------------------------------------------------------------------------------------

-- Runs the schedule again with a trace. If it does not fail any more, the first outcome stays, without a trace.
local function trace_it(program, finding, choices)
  local MOST = 20000 -- steps before the failure
  program.simulation:give(choices)
  local again = attempts.run(program, finding.seed, true, math.max(0, finding.outcome.steps - MOST))
  finding.repeatable = fails_alike(again, finding.outcome)
  if finding.repeatable then finding.outcome = again end
end

-- A schedule has failed in a search.
local function examine(program, finding)
  local choices, complete = program.simulation:choices()
  if not complete then return finding end
  if not errors.is_error(finding.outcome.err, "limit") then -- it would be as long
    choices = shorter(program, finding.seed, finding.outcome, choices)
  end
  trace_it(program, finding, choices)
  finding.schedule = schedules.text(finding.seed, choices)
  return finding
end

-- ---- the search -----------------------------------------------------------------------------------------------------

---Runs one schedule, with a trace.
---@param program braid.testing.Program
---@param seed integer
---@param choices integer[]? nil: they are made anew
---@return braid.testing.Finding
function M.one(program, seed, choices)
  if choices then program.simulation:give(choices) end
  local outcome = attempts.run(program, seed, choices ~= nil, 0)
  local made, complete = program.simulation:choices()
  return {
    outcome = outcome, seed = seed, number = 1, repeatable = true,
    schedule = complete and schedules.text(seed, made) or nil,
  }
end

---Runs up to `most` schedules until one fails.
---@param program braid.testing.Program
---@param seed integer of the first; each further one has the next
---@param most integer
---@return braid.testing.Finding
function M.many(program, seed, most)
  local finding
  for number = 1, most do
    finding = { outcome = attempts.run(program, seed + number - 1), seed = seed + number - 1, number = number }
    if finding.outcome.interrupted then return finding end
    if not finding.outcome.ok then return examine(program, finding) end
  end
  return finding
end

---Runs all schedules, at most `most`, until one fails.
---@param program braid.testing.Program
---@param seed integer for math.random, in every schedule
---@param most integer
---@return braid.testing.Finding
function M.all(program, seed, most)
  local number = 0
  program.simulation:give {}
  while true do
    number = number + 1
    local finding = { outcome = attempts.run(program, seed, true), seed = seed, number = number }
    if finding.outcome.interrupted then return finding end
    if not finding.outcome.ok then return examine(program, finding) end
    finding.complete = not program.simulation:advance()
    if finding.complete or number >= most then return finding end
  end
end

return M
