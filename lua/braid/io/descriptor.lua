-- SPDX-License-Identifier: MIT
-- Waiting for descriptors of other libraries.
local core = require "braid.core"

local M = {}

---Waits until a descriptor is ready: of a database client, of LuaSocket (`socket:getfd()`), or of anything else that
---can be polled. Several tasks may wait for the same one. It must stay open: a wait for a descriptor that is closed may
---never end. A regular file is always ready. Suspends.
---@param fd integer
---@param mode "r"|"w"|"rw" ready for reading, for writing, or for either
---@param timeout? number seconds; 0 checks without waiting
---@return true|"r"|"w"|"rw"|nil ready true; for "rw" what it is ready for
---@return braid.Error? err kinds: timeout; system if it is not open
M.wait_fd = core.wait_fd

return M
