-- SPDX-License-Identifier: MIT
-- Runs a server as a program: prints its address and processes, handles signals, and ends.
local core = require "braid.core"
local errors = require "braid.errors"
local options_of = require "braid.web.options"
local pools = require "braid.pools.registry"
local server = require "braid.web.server"
local signals = require "braid.io.signals"
local supervisor = require "braid.web.supervisor"
local task = require "braid.tasks.task"
local watcher = require "braid.web.watcher"
local worker = require "braid.web.worker"

local M = {}

local GUARD = 2 -- seconds beyond grace, after which a server that computes without end is ended

local function say(format, ...) io.stderr:write(("braid: " .. format .. "\n"):format(...)) end

--- Starts a server in this process, or a supervisor with several.
---@param source {app: braid.web.App?, file: string?}
---@param options braid.web.ServeOptions the result of options.read
---@return braid.web.Server|braid.web.Supervisor|nil
---@return any err
function M.start(source, options)
  if options.reload and not source.file then
    errors.misuse(2, "option 'reload' is for `braid serve FILE --reload`: a running program cannot be loaded again")
  end
  if options.workers > 1 or options.reload then return supervisor.start(source, options) end
  return server.start({ app = source.app, load = function() return worker.load(source.file) end }, options)
end

-- ---- the service manager --------------------------------------------------------------------------------------------

-- Tells systemd, if it has started this process. Nothing depends on whether it hears.
local function notify(format, ...) core.notify(format:format(...)) end

-- Seconds within which a sign of life must come; nil: nobody waits for one.
local function watchdog_limit()
  local limit = tonumber(os.getenv "WATCHDOG_USEC")
  local pid = math.tointeger(tonumber(os.getenv "WATCHDOG_PID"))
  if not limit or limit <= 0 or pid and pid ~= core.pid() then return nil end
  return limit / 1e6
end

local function give_signs_of_life(limit)
  while true do
    notify "WATCHDOG=1"
    core.sleep(limit / 2)
  end
end

local function while_reloading(fn, ...)
  notify("RELOADING=1\nMONOTONIC_USEC=%d", math.floor(core.now() * 1e6))
  fn(...)
  notify "READY=1"
end

-- ---- signals --------------------------------------------------------------------------------------------------------

local function reload(running)
  local replaced, problem = running:reload()
  if not replaced then say("the workers are not replaced: %s", problem) end
end

-- Without workers: loads the file again.
local function reload_here(running, source)
  if not source.file then
    say("there is no file to load again; with several workers HUP replaces them")
    return
  end
  local ok, problem = errors.try(function() running:_replace(worker.load(source.file)) end)
  if ok then
    say("%s is loaded again", source.file)
  else
    say("%s is not loaded again: %s", source.file, errors.text(problem))
  end
end

local function add(running)
  local added, problem = running:add()
  if not added then say("no worker is added: %s", problem) end
end

local obey = {
  TERM = function(running) running:stop() end,
  HUP = function(running, source)
    core.spawn(while_reloading, running.reload and reload or reload_here, running, source)
  end,
  TTIN = function(running) if running.add then core.spawn(add, running) end end,
  TTOU = function(running) if running.remove then running:remove() end end,
}

-- PIPE is one of them so that a write to a stderr that nobody reads ends no server.
local function obey_signals(running, source, taken)
  for name in taken do
    if obey[name] then obey[name](running, source) end
  end
end

local function name_processes(running)
  if not running.pids then return end
  say("supervisor pid %d", core.pid())
  for i, pid in ipairs(running:pids()) do say("worker %d pid %d", i, pid) end
end

local function serve(source, options)
  local watched = options.reload and source.file and watcher.open(source.file, options.reload)
  local running <close>, err = M.start(source, options)
  if not running then error(err, 0) end
  local taken <close> = signals.signals("TERM", "HUP", "PIPE", table.unpack(running.pids and { "TTIN", "TTOU" } or {}))
  local _ <close> = not running.pids and core.term_guard(options.grace + GUARD) or nil
  core.spawn(obey_signals, running, source, taken):daemon()
  say("serving on %s", table.concat(running.urls, " and ")) -- a program that reads this may send a signal at once
  name_processes(running)
  notify "READY=1"
  if watchdog_limit() then core.spawn(give_signs_of_life, watchdog_limit()):daemon() end
  if options.reload then core.spawn(watcher.watch, running, watched):daemon() end
  running:_await_stop()
  notify "STOPPING=1"
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
