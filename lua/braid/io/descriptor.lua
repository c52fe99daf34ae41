-- SPDX-License-Identifier: MIT
-- Descriptors of somebody else's library.
local core = require "braid.core"

local M = {}

---Waits until a descriptor is ready: of a database client, of LuaSocket (`socket:getfd()`), of anything that can be
---polled. Several tasks may wait for one. It must stay open meanwhile: a wait for a descriptor that is closed may never
---end. A regular file is always ready. Suspends.
---@param fd integer
---@param mode "r"|"w"|"rw" to read, to write, or for whichever comes first
---@param timeout? number seconds; 0 looks without waiting
---@return true|"r"|"w"|"rw"|nil ready true; for "rw" what it is ready for
---@return braid.Error? err kinds: timeout; system when it is not open
M.wait_fd = core.wait_fd

return M
