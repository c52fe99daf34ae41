-- SPDX-License-Identifier: MIT
-- The life of a worker's state: runs the jobs of its pool, each as a task. Each new state loads this file, so it is
-- short, and requires nothing. What happens to a job that has not just returned is in outcome.lua.
local core = require "braid.core"

local M = {}

-- Loaded when the first job has not just returned. It requires this file.
local OUTCOME = "braid.pools.outcome"

---Why a value cannot be sent home; nil: it can. Jobs that run in the state that submits them can return every value.
---@param value any
---@return string?
function M.refusal(value) end -- luacheck: ignore 212

-- The pools that jobs have made. Nil: no job has made one, because that loads the module.
local function registry() return package.loaded["braid.pools.registry"] end

---Makes a message handler that keeps the traceback. The second function returns the traceback once.
---@return fun(err: any): any handler
---@return fun(): string? taken
function M.tracer()
  local traceback
  local function handler(err)
    traceback = core.trace(err)
    return err
  end
  local function taken()
    local text = traceback
    traceback = nil
    return text
  end
  return handler, taken
end

-- Runs jobs until there are no more. Each runs in a task with a scope of its own, so its locks and its task locals end
-- with it. A task serves job after job as long as they leave no trace in it.
local function serve(worker, settings)
  local spawn_now, serve_jobs = core.spawn_now, worker.serve
  local handler, taken = M.tracer()
  local function finish(job, scope, ok, ...)
    return require(OUTCOME).finish(job, settings, scope, not ok and taken() or nil, ok, ...)
  end
  repeat
    local job, more = worker:job(), true
    local task = spawn_now(serve_jobs, worker, job, finish, handler)
    task:wait()
    if task:_state() == "failed" then -- by coroutine.yield, or when memory is out
      pcall(job.failed, job, task:error(), task:traceback())
    else
      more = task:result()
    end
  until not more
end

-- If memory is out and the state ends, its jobs are not cancelled: the worker is told before they notice.
local function serve_to_the_end(worker, settings)
  local ok, err = pcall(serve, worker, settings)
  if ok then return end
  worker:short(err)
  error(err, 0)
end

local function run_init(worker, settings)
  if not settings.init then return true end
  local args = settings.init_args or {}
  local handler, taken = M.tracer()
  local scope = core.scope_enter("limit") -- tasks that init spawns live as long as the worker
  worker:enter(scope)
  local ok, err = xpcall(settings.init, handler, table.unpack(args, 1, args.n or #args))
  worker:enter(nil)
  scope:_leave()
  if ok then return true end
  if worker:short(err) then error(err, 0) end -- another try may succeed
  worker:broken(require(OUTCOME).init_error(err), taken())
end

-- Finishes jobs that init, and ended jobs, have left in pools before the worker ends, unless the worker is stopped.
local function finish_left(worker)
  local pools = registry()
  if not (pools and pools.made()) then return end
  local scope = core.scope_enter("limit")
  worker:enter(scope)
  local ok = pcall(pools.finish)
  worker:enter(nil)
  scope:_leave()
  if not ok then pools.abort() end
end

---The life of a worker's state: prepares it, runs init, and then jobs until there are no more. The C side calls it.
---@param worker userdata
---@param settings table from M.settings in thread_pool.lua
function M.main(worker, settings)
  for name, loader in pairs(settings.preload) do package.preload[name] = loader end
  function M.refusal(value) return worker:refusal(value) end
  core.set_home(settings.home, settings.moved)
  if settings.process then core.deadlocks(settings.deadlocks) end
  if not run_init(worker, settings) then return end
  worker:ready()
  local scope = core.scope_enter("nursery")
  for _ = 1, settings.tasks_per_worker or 1 do scope:spawn(serve_to_the_end, worker, settings) end
  scope:_join()
  local failed = scope:_leave()
  if failed then error(failed[1]:error(), 0) end
  finish_left(worker)
end

return M
