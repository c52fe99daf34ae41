-- SPDX-License-Identifier: MIT
-- Describes the machine in words, because a measurement is useless without that.
local core = require "braid.core"

local M = {}

local function cpu_model()
  local file = io.open "/proc/cpuinfo"
  if not file then return core.system().arch end
  local text <close> = file
  return (text:read("a"):match "model name%s*:%s*([^\n]+)" or core.system().arch):gsub("%s+", " "):gsub("%(%u+%)", "")
end

---@class braid.Machine
---@field cpu string
---@field cores integer number of cores that this process may use
---@field system string name and release of the kernel
---@field lua string
---@field load number? average of the last minute
---@field others number? cores that other programs used during the experiment, on average

---@return braid.Machine
function M.facts()
  local system = core.system()
  return {
    cpu = (cpu_model()), cores = core.cpu_count(), lua = _VERSION, load = system.load,
    system = ("%s %s"):format(system.name or "?", (system.release or "?"):match "^[%d.]*%d" or system.release),
  }
end

-- Seconds of processor time that all programs have used since the machine was started; nil: the system does not tell.
local function used_by_all()
  local file <close> = io.open "/proc/stat"
  local user, nice, system, _, _, irq, soft, steal = (file and file:read "l" or ""):match("^cpu +" .. ("(%d+) "):rep(8))
  return user and (user + nice + system + irq + soft + steal) / 100 -- ticks: Linux has 100 of them in a second
end

---A measurement of other programs: a function that tells how many cores they have used since, on average.
---@return fun(): number? cores nil: the system does not tell
function M.others()
  local before, own, began = used_by_all(), os.clock() + core.children_time(), core.now()
  return function()
    local after, now = used_by_all(), core.now()
    if not before or not after or now - began < 0.05 then return nil end
    local mine = os.clock() + core.children_time() - own
    return math.max(0, after - before - mine) / (now - began)
  end
end

---@param facts braid.Machine
---@return string "AMD EPYC, 2 cores, Linux 6.1.0, Lua 5.4, load 0.31"
function M.line(facts)
  return ("%s, %d %s, %s, %s%s"):format(facts.cpu, facts.cores, facts.cores == 1 and "core" or "cores", facts.system,
    facts.lua, facts.load and (", load %.2f"):format(facts.load) or "")
end

return M
