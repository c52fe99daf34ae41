-- SPDX-License-Identifier: MIT
--- How a failed schedule is told: by its error, with fields that lead back to the schedule, and on stderr.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

-- The error itself if it can have fields; else one that stands for it.
local function with_fields(err)
  if type(err) == "table" then return err end
  return errors.new(nil, errors.text(err), { cause = err })
end

local function story(finding, most)
  local lines = { ("braid.testing: schedule %d of %s has failed: %s"):format(finding.number, most,
    errors.text(finding.outcome.err)) }
  lines[2] = ("  again: seed = %d"):format(finding.seed)
  if finding.schedule then lines[2] = lines[2] .. (", or shorter: schedule = %q"):format(finding.schedule) end
  if finding.outcome.trace then
    lines[3] = tostring(finding.outcome.trace)
  elseif finding.repeatable == false then
    lines[3] = "  it did not fail again: something else than the schedule decides, such as real time, the order of "
      .. "pairs, or what an earlier schedule has left"
  end
  return table.concat(lines, "\n") .. "\n"
end

---Raises the failure of a schedule.
---@param finding braid.testing.Finding
---@param most integer|string? how many schedules were to be run; nil: it was one, and nothing is printed
function M.raise(finding, most)
  local outcome = finding.outcome
  if most then io.stderr:write(story(finding, most)) end
  local err = with_fields(outcome.err)
  rawset(err, "seed", finding.seed)
  rawset(err, "schedule", finding.schedule)
  rawset(err, "trace", outcome.trace)
  core.rethrow(err, outcome.place)
end

return M
