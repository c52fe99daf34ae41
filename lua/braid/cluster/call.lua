-- SPDX-License-Identifier: MIT
-- What a job of a cluster is in the state that runs it.
local core = require "braid.core"

local freeze = core.freeze

local M = {}

---Calls the function. The results leave the state as bytes, and a list of boxes of what these refer to: the process
---around it only hands them on.
---@param fn function
---@param ... any
---@return string bytes
---@return userdata[]? boxes
function M.call(fn, ...) return freeze("result", fn(...)) end

return M
