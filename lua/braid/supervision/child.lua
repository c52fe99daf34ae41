-- SPDX-License-Identifier: MIT
-- One child of a supervisor: starts its function as a task, or as the only job of a worker, and stops it.
local core = require "braid.core"
local backoffs = require "braid.supervision.backoff"
local errors = require "braid.errors"
local pools = require "braid.pools.pool"
local scope = require "braid.tasks.scope"
local task = require "braid.tasks.task"

local M = {}

local KINDS = { thread = "threads", process = "processes" }
local CHECKS, PATIENCE = 1, 5 -- seconds between two checks of a child's health, and until one must have answered

---@class braid.supervision.Child
---@field spec table as the program has given it
---@field state "running"|"waiting"|"stopped"|"ended" waiting: for its restart; ended: it is not restarted
---@field restarts integer
---@field backoff braid.supervision.Backoff
---@field since number when this state began
---@field due number? when a waiting one is started
---@field err any the last failure
---@field private _future braid.Future? of the run
---@field private _pool table?
---@field private _health braid.Task?
local Child = {}
Child.__index = Child

---@param spec table
---@return braid.supervision.Child
function M.new(spec)
  return setmetatable({
    spec = spec, state = "stopped", restarts = 0, backoff = backoffs.new(spec.backoff), since = core.now(),
  }, Child)
end

---Changes its state.
---@param state string
function Child:enter(state)
  self.state, self.since = state, core.now()
end

---Tells the program of a failure.
---@param err any
---@param traceback string?
function Child:tell(err, traceback)
  local ok, problem = pcall(self.spec.on_failure, err, self.spec.name, traceback)
  if not ok then errors.report(problem, nil, "on_failure of a supervisor") end
end

-- A task's own tasks end with it.
local function body(run)
  return scope.scope(function() return run() end)
end

local function begin(self)
  local spec = self.spec
  if spec.model == "task" then
    local started = task.spawn(body, spec.run)
    started.name = spec.name
    return started
  end
  self._pool = pools.pool(KINDS[spec.model], { workers = 1, name = spec.name })
  return self._pool:submit(spec.run)
end

local function watch_health(self, report)
  local run = self._future
  while true do
    core.sleep(CHECKS)
    local ok, healthy = errors.try(scope.timeout, PATIENCE, self.spec.health, self:facts())
    if not ok or not healthy then
      local why = ok and "its health check returned " .. tostring(healthy) or errors.text(healthy)
      report { child = self, run = run, err = errors.new("closed", "not healthy: " .. why), unhealthy = true }
      return
    end
  end
end

---Starts it. `report` is called with { child, run, err } when it has ended, or is not healthy. Returns true; or nil,
---and the error that has prevented it. Suspends.
---@param report fun(news: table)
---@return true? started
---@return any err
function Child:start(report)
  local ok, run = errors.try(begin, self)
  if not ok then
    self:leave(true)
    return nil, run
  end
  self._future = run
  self:enter "running"
  run:on_done(function(future) report { child = self, run = run, err = future:error(), at = future:traceback() } end)
  if self.spec.health then
    self._health = task.spawn(watch_health, self, report)
    self._health.name = self.spec.name .. " (health)"
  end
  return true
end

---Whether this is the run that goes on now.
---@param run braid.Future
---@return boolean
function Child:is_at(run) return self._future == run end

---Gives up what the run has used. Suspends.
---@param wait boolean until its worker has ended
function Child:leave(wait)
  local pool, health = self._pool, self._health
  self._pool, self._health, self._future = nil, nil, nil
  if health then health:cancel() end
  if pool then pool:shutdown { wait = wait, cancel_pending = true } end
end

---Stops it, and waits until it has stopped, but not longer than its stop_timeout. Suspends.
function Child:stop()
  local run = self._future
  local stopped = true
  if run then
    run:cancel "its supervisor stops it"
    stopped = run:wait(self.spec.stop_timeout)
    if not stopped then
      local text = "it has not stopped within %g s, and is left alone"
      local err = errors.new("timeout", text:format(self.spec.stop_timeout))
      self:tell(err)
    end
  end
  self:leave(stopped)
  self:enter "stopped"
end

---What `supervisor:children` tells of it.
function Child:facts()
  return {
    name = self.spec.name, model = self.spec.model, state = self.state, restarts = self.restarts,
    seconds = core.now() - self.since, error = self.err,
  }
end

return M
