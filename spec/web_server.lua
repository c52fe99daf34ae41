-- SPDX-License-Identifier: MIT
-- A web application on a socket, for the specs of braid.web.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"

local M = {}

--- A test function: fn(session, app, server) in braid.run, with the app on a socket and a session for it.
---@param prepare fun(app: braid.web.App) adds the routes
---@param fn fun(session: braid.http.Session, app: braid.web.App, server: braid.web.Server)
---@param options table? of app:start
function M.serving(prepare, fn, options)
  return function()
    helper.run(function()
      local app = braid.web.app()
      prepare(app)
      local given = { port = 0 }
      for name, value in pairs(options or {}) do given[name] = value end
      local server <close> = assert(app:start(given))
      local session <close> = braid.http.session { base_url = server.url, timeout = 8 * helper.slowness }
      fn(session, app, server)
    end)
  end
end

--- A connection to it.
function M.connect(server) return assert(braid.net.connect("127.0.0.1", server.port)) end

return M
