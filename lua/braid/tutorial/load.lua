-- SPDX-License-Identifier: MIT
--- What other programs do to this machine while it is measured.

local braid = require "braid"
local machine = require "braid.experiments.machine"

local M = {}

local BUSY, CALM = 0.15, 0.08 -- shares of all cores
local SAMPLE = 0.25           -- seconds

-- The share of the cores that other programs use while this one rests; nil where that is not told. Suspends.
local function share()
  local others = machine.others()
  braid.sleep(SAMPLE)
  local cores = others()
  return cores and math.min(1, cores / braid.cpu_count())
end

---Whether other programs disturb a measurement. Suspends.
---@return number? share of the cores that they use, if they do
function M.busy()
  local used = share()
  return used and used > BUSY and used or nil
end

---Waits until the machine is calm. Suspends.
---@param most number seconds
function M.await_calm(most)
  local deadline = braid.now() + most
  repeat local used = share() until not used or used < CALM or braid.now() > deadline
end

return M
