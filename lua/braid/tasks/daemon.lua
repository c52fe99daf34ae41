-- SPDX-License-Identifier: MIT
-- Tasks for braid's own work behind the scenes.
local core = require "braid.core"

local M = {}

---Starts a daemon task: nobody waits for it, and it belongs to no scope.
---@param fn fun(...): ...
---@param ... any
---@return braid.Task
function M.start(fn, ...)
  local task = core.prepare(fn, ...)
  task:daemon()
  core.start(task)
  return task
end

return M
