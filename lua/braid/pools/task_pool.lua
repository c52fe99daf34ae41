-- SPDX-License-Identifier: MIT
-- The pool whose jobs are tasks of this state's loop. At most `workers` of them run at once, or `tasks_per_worker`
-- times as many.
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local inline = require "braid.pools.inline"
local pools = require "braid.pools.registry"

local M = {}

local MOST_TASKS = 1000

---@class braid.TaskPool: braid.InlinePool
---@field _queue braid.Future[] jobs that wait until others end: from _first to _last
local TaskPool, methods = executor.class("braid.task_pool", inline.methods)

local function begin(self, task)
  self:_count_in(task)
  core.start(task)
end

-- Takes the oldest job that still waits.
local function take_queued(self)
  while self._first <= self._last do
    local task = self._queue[self._first]
    self._queue[self._first] = nil
    self._first = self._first + 1
    if not task:done() then return task end
  end
end

function methods:_end_job(task)
  inline.methods._end_job(self, task)
  while self._running < self._slots do
    local waiting = take_queued(self)
    if not waiting then return end
    begin(self, waiting)
  end
end

---Starts fn(...) as a task, or queues it while `workers` jobs run. A job that is submitted by a job of this pool is
---never queued, because that job may wait for it.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future
function methods:submit(fn, ...)
  if getmetatable(self) ~= TaskPool then errors.no_self(1, TaskPool, "submit", self) end
  errors.check_function(1, "submit", "fn", fn)
  local task = self:_prepare(fn, ...)
  self._handle.count = self._handle.count + 1
  if self._running < self._slots or self._live[core.current()] then
    begin(self, task)
  else
    self._last = self._last + 1
    self._queue[self._last] = task
  end
  return task
end

-- The handle of the pool for its run. It refers to the pool weakly; an unfinished job keeps the pool alive.
local Handle = {}
Handle.__index = Handle

local function busy_pool(handle)
  local pool = handle.weak.pool
  return pool and next(pool._live) and pool
end

function Handle:submitted() return self.count end

function Handle:over() return not self.weak.pool end

function Handle:rest()
  local pool = busy_pool(self)
  while pool do
    next(pool._live):wait()
    core.checkpoint()
    pool = busy_pool(self)
  end
end

function Handle:leave()
  local pool = self.weak.pool
  if pool and pool._live[core.current()] then pool._tally:remove() end
end

function Handle:abort()
  local pool = self.weak.pool
  if not pool then return end
  pool:_close(true)
  pool:_stop()
end

---Makes a pool whose jobs are tasks.
---@param opts integer|braid.PoolOptions|nil workers: how many jobs run at once, default 1000
---@return braid.TaskPool
function M.task_pool(opts)
  local options = executor.options("task_pool", opts)
  local self = inline.new(TaskPool, options, (options.workers or MOST_TASKS) * (options.tasks_per_worker or 1))
  self._queue, self._first, self._last = {}, 1, 0
  self._tally = core.tally_new("tasks", options.name)
  self._handle = setmetatable({ count = 0, weak = setmetatable({ pool = self }, { __mode = "v" }) }, Handle)
  pools.add(self._handle)
  return self
end

errors.guard(TaskPool, methods, { submit = true })

return M
