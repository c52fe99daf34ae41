-- SPDX-License-Identifier: MIT
-- A worker process of a server: a job of a process pool with one worker, so that shared objects which were made before
-- `serve` are the supervisor's. It connects with the supervisor, and they exchange messages: a letter and a text.
--
--   from the supervisor   L, with the listener: begin; C, with a connection: serve it; Q: stop, with grace and linger
--                         in seconds
--   from the worker       H: which worker it is; R: it serves; B: a sign of life, with its counts; D: it stops, and
--                         accepts no more
local core = require "braid.core"
local errors = require "braid.errors"
local signals = require "braid.io.signals"
local pools = require "braid.pools.registry"
local server_module = require "braid.web.server"

local M = {}

M.BEAT = 1 -- seconds between two signs of life

-- Waits for a message; nil if the supervisor has ended.
local function receive(control)
  repeat
    local text, descriptor = control:receive()
    if text ~= false then return text, descriptor end
  until not core.wait_fd(control:fd(), "r")
end

--- Loads the application that a file returns.
---@param file string
---@return braid.web.App
function M.load(file)
  local chunk, problem = loadfile(file)
  if not chunk then error(problem, 0) end
  local app = chunk()
  if type(app) == "table" and type(app.test_client) == "function" then return app end
  error(("%s has to return an application (braid.web.app()), not a %s"):format(file, type(app)), 0)
end

-- Sends signs of life, and handles the supervisor's messages.
local function accompany(control, server)
  core.spawn(function()
    while true do
      local stats = server:stats()
      control:send(("B%d %d %d"):format(stats.accepted, stats.connections, stats.requests))
      core.sleep(M.BEAT)
    end
  end):daemon()
  core.spawn(function()
    while true do
      local text, descriptor = receive(control)
      if descriptor then server._handle:adopt(descriptor) end
      local grace, linger = (text or "Q0 0"):match("^Q(%S+) (%S+)$")
      if grace then
        server:stop(tonumber(grace), tonumber(linger))
        control:send("D")
      end
      if not text then return end
    end
  end):daemon()
end

-- SIGTERM to this worker alone: it stops, and the supervisor replaces it. The others are the supervisor's.
local function obey_signals(server)
  local taken = signals.signals("TERM", "INT", "HUP", "TTIN", "TTOU", "PIPE")
  core.spawn(function()
    for name in taken do
      if name == "TERM" then server:stop(nil, 0.2) end
    end
  end):daemon()
end

--- The job of a worker. Raises when it cannot serve.
---@param name string of the supervisor's control socket
---@param token string which worker it is
---@param plan {app: braid.web.App?, file: string?, options: braid.web.ServeOptions, port: integer}
function M.run(name, token, plan)
  local control, problem = core.control_connect(name)
  if not control then error(errors.new("system", "the supervisor cannot be reached: " .. problem), 0) end
  control:send("H" .. token)
  local text, listener = receive(control)
  if not text then return end -- the supervisor has ended
  local app = plan.app or M.load(plan.file)
  local server, err = server_module.start_on(app, plan.options, listener, plan.port)
  if not server then error(err, 0) end
  obey_signals(server)
  control:send("R")
  accompany(control, server)
  server:wait()
  pools.finish_by(server._deadline or core.now())
end

return M
