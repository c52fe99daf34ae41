-- SPDX-License-Identifier: MIT
--- The trace of a schedule: which task went on, when, and where it stood.
local M = {}

local MOST = 4096 -- as in lsimulation.c
local MOST_SHOWN = 60

---A switch to a task.
---@class braid.testing.Switch
---@field task string its name; a task without one has a number, in the order in which they went on
---@field at string where it stood: "queue:get at FILE:LINE"
---@field time number seconds since the run began

---@class braid.testing.Trace
---@field [integer] braid.testing.Switch
---@field left_out integer? earlier switches, which are not kept
local Trace = { __name = "braid.testing.trace" }

local function line(number, switch)
  return ("  %d. %.3f s  %s: %s"):format(number, switch.time, switch.task, switch.at)
end

function Trace:__tostring()
  local lines, first = {}, math.max(1, #self - MOST_SHOWN + 1)
  local left_out = (self.left_out or 0) + first - 1
  if left_out > 0 then lines[1] = ("  ... %d earlier switches"):format(left_out) end
  for i = first, #self do lines[#lines + 1] = line(left_out + i - first + 1, self[i]) end
  return table.concat(lines, "\n")
end

---Makes the trace of the recorded steps.
---@param steps table step number modulo MOST -> step
---@param count integer all steps
---@return braid.testing.Trace
function M.new(steps, count)
  local trace, numbers, known = {}, {}, 0
  for i = math.max(0, count - MOST), count - 1 do
    local step = steps[i % MOST + 1]
    if step and not numbers[step.task] then
      known = known + 1
      numbers[step.task] = known
    end
    trace[#trace + 1] = step
  end
  for i, step in ipairs(trace) do
    trace[i] = { task = step.task.name or "task " .. numbers[step.task], at = step.at, time = step.time }
  end
  if count > MOST then trace.left_out = count - MOST end
  return setmetatable(trace, Trace)
end

return M
