-- SPDX-License-Identifier: MIT
-- The inline pool, which has no workers: submit runs the job at once in the calling task. Also the parts that it shares
-- with the task pool, whose jobs run in this state, too.
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local scopes = require "braid.tasks.scope"
local outcome = require "braid.pools.outcome"
local worker = require "braid.pools.worker"

local M = {}

---@class braid.InlinePool: braid.Executor
---@field _live table<braid.Future, number|false> unfinished jobs -> their start time; false: not begun
---@field _running integer
---@field _tally userdata? counts jobs that are lost if the process ends now
---@field _counts table<string, integer> number of ended jobs by their state
local InlinePool, methods = executor.class("braid.inline_pool")

-- The body of a job's task: calls the function in a scope of its own.
local function run(limit, fn, ...)
  local handler, taken = worker.tracer()
  local scope = core.scope_enter("run", limit)
  local function finish(ok, ...)
    local how, err, traceback = outcome.settle(scope, ok, (...), not ok and taken() or nil)
    if how == "done" then return ... end
    if how == "cancelled" and scope:expired() and not core.cancelled() then err = outcome.over_limit("time", limit) end
    core.rethrow(err, traceback)
  end
  return finish(xpcall(fn, handler, ...))
end

function methods:_end_job(task)
  local began, state = self._live[task], task:_state()
  self._live[task] = nil
  if self._tally then self._tally:remove() end
  self._counts[state] = self._counts[state] + 1
  if began then
    self._running = self._running - 1
    self._busy = self._busy + core.now() - began
  end
end

local function refuse(self)
  if self._stopped then
    core.rethrow(errors.new("cancelled", "cancelled: an error has ended what this pool was for"))
  elseif self._broken == nil then
    errors.misuse(1, "this pool is closed: it takes no more jobs")
  end
  core.rethrow(self._broken)
end

-- Makes the task of a job; it is held until it is started.
function methods:_prepare(fn, ...)
  if self._closed then refuse(self) end
  local task = core.prepare(run, self._limit, fn, ...)
  self._live[task] = false
  if self._tally then self._tally:add() end
  return task:on_done(self._ended)
end

function methods:_count_in(task)
  self._live[task] = core.now()
  self._running = self._running + 1
end

---Runs fn(...) and returns when it has ended. An error is kept for the future's `result`. Suspends if fn does.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future
function methods:submit(fn, ...)
  if getmetatable(self) ~= InlinePool then errors.no_self(1, InlinePool, "submit", self) end
  errors.check_function(1, "submit", "fn", fn)
  local task = self:_prepare(fn, ...)
  self:_count_in(task)
  core.start_now(task)
  if task:done() then return task end
  local ok, err, place = errors.try(task.wait, task)
  if not ok then
    task:cancel()
    scopes.shield(task.wait, task)
    core.rethrow(err, place)
  end
  return task
end

---@return { workers: integer, queued: integer, running: integer, done: integer, failed: integer, cancelled: integer,
--- bytes_in: integer, bytes_out: integer, busy: number } busy: seconds in which jobs have run
function methods:stats()
  local queued, counts = 0, self._counts
  for _, began in pairs(self._live) do
    if not began then queued = queued + 1 end
  end
  return {
    workers = self._closed and self._running == 0 and 0 or self._slots, queued = queued, running = self._running,
    done = counts.done, failed = counts.failed, cancelled = counts.cancelled, bytes_in = 0, bytes_out = 0,
    busy = self._busy,
  }
end

function methods:_close(cancel_pending)
  self._closed = true
  if not cancel_pending then return end
  for task, began in pairs(self._live) do
    if not began then task:cancel() end
  end
end

function methods:_stop()
  self._stopped = true
  for task in pairs(self._live) do task:cancel() end
end

function methods:_serves_caller()
  local current = core.current()
  return current ~= nil and self._live[current] ~= nil
end

function methods:_join()
  core.look()
  while true do
    local task = next(self._live)
    if not task then return end
    task:wait()
    core.checkpoint()
  end
end

---Makes a pool of this kind or of a similar kind.
---@param class table
---@param options braid.PoolOptions
---@param slots integer
function M.new(class, options, slots)
  local self = {
    _slots = slots, _ahead = 2 * slots - 1, _measured = false, _limit = options.time_limit, _live = {}, _running = 0,
    _counts = { done = 0, failed = 0, cancelled = 0 }, _busy = 0, _closed = false,
  }
  self._ended = function(task) self:_end_job(task) end
  if options.init then
    local args = options.init_args or {}
    local ok, err = pcall(options.init, table.unpack(args, 1, args.n or #args))
    if not ok then
      self._broken = outcome.init_failed(err)
      self._closed = true
    end
  end
  return executor.new(class, self, options)
end

---Makes a pool that runs each job in the task that submits it.
---@param opts braid.PoolOptions? workers has no effect: it is 1
---@return braid.InlinePool
function M.inline_pool(opts)
  local self = M.new(InlinePool, executor.options("inline_pool", opts), 1)
  self._measured = true -- map uses chunks: a job for each small item would cost more than the items
  return self
end

---For similar kinds of pools.
M.methods = methods

errors.guard(InlinePool, methods, { submit = true })

return M
