-- SPDX-License-Identifier: MIT
-- Runs a server as a program: prints its address and processes, handles signals, and ends.
local core = require "braid.core"
local options_of = require "braid.web.options"
local pools = require "braid.pools.registry"
local server = require "braid.web.server"
local supervisor = require "braid.web.supervisor"
local task = require "braid.tasks.task"
local worker = require "braid.web.worker"

local M = {}

local function say(format, ...) io.stderr:write(("braid: " .. format .. "\n"):format(...)) end

--- Starts a server in this process, or a supervisor with several.
---@param source {app: braid.web.App?, file: string?}
---@param options braid.web.ServeOptions the result of options.read
---@return braid.web.Server|braid.web.Supervisor|nil
---@return any err
function M.start(source, options)
  if options.workers > 1 then return supervisor.start(source, options) end
  return server.start(source.app or worker.load(source.file), options)
end

local function reload(running)
  local replaced, problem = running:reload()
  if not replaced then say("the workers are not replaced: %s", problem) end
end

local function add(running)
  local added, problem = running:add()
  if not added then say("no worker is added: %s", problem) end
end

local signals = {
  TERM = function(running) running:stop() end,
  HUP = function(running) if running.reload then core.spawn(reload, running) end end,
  TTIN = function(running) if running.add then core.spawn(add, running) end end,
  TTOU = function(running) if running.remove then running:remove() end end,
}

local function obey_signals(running, fd)
  local serve_core = require "braid.serve_core"
  while core.wait_fd(fd, "r") do -- until the descriptor is closed by give_signals
    local obey = signals[serve_core.next_signal()]
    if obey then obey(running) end
  end
end

local function name_processes(running)
  if not running.pids then return end
  say("supervisor pid %d", core.pid())
  for i, pid in ipairs(running:pids()) do say("worker %d pid %d", i, pid) end
end

local function serve(source, options)
  local serve_core = require "braid.serve_core"
  local running <close>, err = M.start(source, options)
  if not running then error(err, 0) end
  local fd <const> = options.workers > 1 and serve_core.take_signals("TERM", "HUP", "TTIN", "TTOU")
    or serve_core.take_signals("TERM")
  local _ <close> = setmetatable({}, { __close = serve_core.give_signals })
  if fd then core.spawn(obey_signals, running, fd):daemon() end
  say("serving on %s", running.url) -- a program that reads this may send a signal at once
  name_processes(running)
  running:wait()
  pools.finish_by(running._deadline or core.now() + options.grace)
end

--- Serves until it is stopped. Suspends. Raises if the server cannot start. Outside of a task it makes its own run, so
--- that SIGINT always finds a loop.
---@param source {app: braid.web.App?, file: string?}
---@param options braid.web.ServeOptions the result of options.read
function M.serve(source, options)
  if core.current() then return serve(source, options) end
  return task.run(serve, source, options)
end

--- Checks the options of app:serve.
M.read_options = options_of.read

return M
