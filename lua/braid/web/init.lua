-- SPDX-License-Identifier: MIT
-- braid.web: the HTTP server. This module only collects the names; middleware is loaded when it is first used.
local app = require "braid.web.app"
local response = require "braid.web.response"

local M = {}

M.app = app.new
M.response = response.response
M.abort = response.abort
M.events = response.events

-- The modules of functions that not every application needs.
local homes = {
  sessions = "braid.web.sessions", cors = "braid.web.cors", limiter = "braid.web.limiter",
  proxies = "braid.web.proxies", compress = "braid.web.compress",
}

return setmetatable(M, {
  __index = function(web, name)
    local home = homes[name]
    if not home then return nil end
    local value = require(home)[name]
    rawset(web, name, value)
    return value
  end,
  __pairs = function(web)
    for name in pairs(homes) do local _ = web[name] end
    return next, web
  end,
})
