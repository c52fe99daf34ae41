-- SPDX-License-Identifier: MIT
-- Proxies that a part of an application believes.
local forwarded = require "braid.web.forwarded"
local request_of = require "braid.web.request"

local M = {}

--- Middleware that believes what these proxies say of the client, instead of those of the server's option `proxies`:
--- `request.ip`, `.scheme`, `.host`, `.url` and `.id`. X-Forwarded-For, -Proto, -Host and -Port are read, or Forwarded
--- if there is no X-Forwarded-For; `header = "Forwarded"` or `"X-Forwarded-For"` believes that one only, which is right
--- if the proxy does not remove the other.
---@param list string|string[] networks like "10.0.0.0/8", addresses, and "unix" for the clients of Unix sockets
---@return braid.web.Middleware
function M.proxies(list)
  local named = forwarded.read(1, "proxies", list)
  return function(req, next_one)
    request_of.trust(req, named)
    return next_one(req)
  end
end

return M
