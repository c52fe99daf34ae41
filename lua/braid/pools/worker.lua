-- SPDX-License-Identifier: MIT
-- The Lua part of a worker: runs the jobs of its pool, each as a task. Also decides how a job ends, which inline and
-- task pools use, too.
local core = require "braid.core"
local errors = require "braid.errors"
local excerpt = require "braid.pools.excerpt"

local M = {}

-- A shared object may arrive before the module with its Lua methods is loaded, in a worker as well as in the state that
-- has the pool. The first use of a missing method loads the module.
local modules = {
  Queue = "braid.sync.queue", Lock = "braid.sync.primitives", Semaphore = "braid.sync.primitives",
  Condition = "braid.sync.primitives", Dict = "braid.sync.dict",
}
for class, module in pairs(modules) do
  if not package.loaded[module] then
    setmetatable(core[class], { __index = function(methods, name)
      if package.loaded[module] then return nil end
      require(module) -- before the next line, because it can be interrupted
      setmetatable(methods, nil)
      return methods[name]
    end })
  end
end

local is_echo = errors.is_echo

-- The pools that jobs have made. Nil: no job has made one, because that loads the module. It is not loaded here: that
-- would delay the start of each worker.
local function registry() return package.loaded["braid.pools.registry"] end

-- ---- the end of a job -----------------------------------------------------------------------------------------------

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

-- Adds the failures of a job's tasks that the job has to raise: of linked tasks, and those that nobody has asked for.
-- Echoes of the job's own end are left out. An error may be nil, so the list has its own count.
local function add_failures(list, failed, ended)
  local traceback
  for _, failure in ipairs(failed) do
    local err = failure:error()
    if not (ended and is_echo(err)) then
      list.n = list.n + 1
      list[list.n] = err
      traceback = traceback or failure:traceback()
    end
  end
  list.more = failed.more
  return traceback
end

-- Finishes a job's pools after its tasks have ended, as a run does. Returns the error that ended the wait.
local function finish_pools(pools, scope, ok)
  local well, err = ok and not scope:cancelled() and not scope:_failing(), nil
  if well then well, err = pcall(pools.finish, scope) end
  if well then return end
  pools.abort(scope)
  scope:cancel()
  scope:_join()
  return err
end

---Ends the scope of a job whose function has returned or raised. Waits for the tasks that it spawned. Suspends.
---@param scope braid.Scope
---@param ok boolean
---@param err any the error that was raised
---@param traceback string?
---@return "done"|"failed"|"cancelled"
---@return any err
---@return string? traceback
function M.settle(scope, ok, err, traceback)
  if not scope:_mine() then
    ok, err, traceback = require "braid.tasks.scope".end_forgotten(scope, ok, err, traceback)
  end
  local cancelled = not ok and is_echo(err) and core.cancelled()
  if not ok then scope:cancel() end
  scope:_join()
  local pools = registry()
  local pooled = pools and pools.made(scope)
  local stopped = pooled and finish_pools(pools, scope, ok)
  if stopped then ok, err, cancelled = false, stopped, is_echo(stopped) and core.cancelled() end
  local failed, cut = scope:_leave()
  if pooled then pools.pass_on(scope) end
  if ok and not failed then
    if cut then return "cancelled", errors.new("cancelled", "cancelled") end -- its tasks were cut off
    return "done"
  end
  local list = { n = 0 }
  if not ok and not cancelled then list[1], list.n = err, 1 end
  local others_traceback = failed and add_failures(list, failed, not ok)
  traceback = traceback or others_traceback
  if list.n + (list.more or 0) > 1 then return "failed", errors.group(list), traceback end
  if list.n == 1 then return "failed", list[1], traceback end
  return cancelled and "cancelled" or "done", err
end

---The error of a job that exceeded a limit.
---@param which "time"|"memory"
---@param limit number
---@return braid.Error
function M.over_limit(which, limit)
  local what = which == "time" and "took longer than its time limit of %g s" or "needed more memory than its %.0f bytes"
  return errors.new("limit", ("the job " .. what .. ", and was stopped"):format(limit))
end

---The error of a pool whose init has raised `err`.
---@param err any
---@return braid.Error
function M.init_failed(err)
  return errors.new("broken", "this pool is broken: its init failed: " .. errors.text(err), { cause = err })
end

-- ---- errors on their way home --------------------------------------------------------------------------------------

-- Why a value cannot be sent home; nil: it can. For jobs that run in the pool's own state every value can.
local why_not = function() end

-- The part of an error that can be sent. A value that is no table and cannot be sent becomes its text.
local function fit(err)
  local why = type(err) == "table" and why_not(err)
  if not why then return err end
  local rest = excerpt.of(err, why_not)
  if why_not(rest) == nil then return rest end
  return errors.new("not_sendable", ("the job failed with %s, of which this cannot be sent: %s"):format(
    errors.text(err), (errors.text(why):gsub("^argument 1", "error"))))
end

-- ---- many items as one job ------------------------------------------------------------------------------------------

-- Adds a hint: a global that is nil in the worker was most likely set in the main state.
local function with_hint(err)
  if type(err) ~= "string" or not err:find "a nil value %(global '" then return err end
  return err .. " (globals are not shared between workers: pass it as an argument or an upvalue; make it local)"
end

local function apply_all(fn, items, results, failures)
  for i = 1, items.n do
    local ok, value = pcall(fn, items[i])
    if ok then
      results[i] = value
    elseif is_echo(value) and core.cancelled() then
      error(value, 0)
    else
      failures[i] = fit(with_hint(value))
    end
  end
end

---Calls fn(item) for each item. `pool:map` sends this instead of single calls.
---@param fn fun(item: any): any
---@param items table with `n`
---@param keep boolean goes on after a failure
---@return table results
---@return number seconds the time that it took
---@return table? failures only with keep
function M.chunk(fn, items, keep)
  local start, results = core.now(), {}
  local failures
  if keep then
    failures = {}
    apply_all(fn, items, results, failures)
  else
    for i = 1, items.n do results[i] = (fn(items[i])) end
  end
  return results, core.now() - start, failures
end

-- ---- the worker -----------------------------------------------------------------------------------------------------

-- The job failed or was stopped: sends home the failure.
local function send_failure(job, settings, how, err, traceback)
  local limit = job:limit()
  if limit == "time" and how == "cancelled" then
    job:failed(M.over_limit("time", settings.time_limit))
  elseif err == "not enough memory" then -- Lua's own message
    job:failed(limit == "memory" and M.over_limit("memory", settings.memory_limit) or core.no_memory(), traceback)
  elseif how == "cancelled" then
    job:cancelled()
  else
    job:failed(fit(with_hint(err)), traceback)
  end
end

-- Runs jobs until there are no more. Each runs in a task with a scope of its own, so its locks and its task locals end
-- with it. A task serves job after job as long as they leave no trace in it.
local function serve(worker, settings)
  local spawn_now, serve_jobs, settle = core.spawn_now, worker.serve, M.settle
  local handler, taken = M.tracer()

  local function finish(job, scope, ok, ...)
    local how, err, traceback = settle(scope, ok, (...), not ok and taken() or nil)
    if how ~= "done" then return send_failure(job, settings, how, err, traceback) end
    local sent, refusal = pcall(job.done, job, ...)
    if not sent then job:failed(refusal) end
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
  worker:broken(fit(M.init_failed(with_hint(err))), taken())
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
  if settings.process then
    require "braid.pools.registry" -- for os.exit, which it makes tell what is lost
    core.deadlocks(settings.deadlocks)
  end
  function why_not(value) return worker:refusal(value) end
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
