-- SPDX-License-Identifier: MIT
-- The functions in C, or one sentence about what they need.
local core = require "braid.core"
local errors = require "braid.errors"

local ok, loaded = pcall(require, "braid.websocket_core")
if not ok then
  local found = package.searchpath("braid.websocket_core", package.cpath)
  core.rethrow(errors.new("system", "WebSockets need wslay and zlib: " .. (found and errors.text(loaded)
    or "build braid again when they are installed (Debian: libwslay-dev, zlib1g-dev)")))
end
return loaded
