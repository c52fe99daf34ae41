-- SPDX-License-Identifier: MIT
-- How a job ends, in every kind of pool. A worker loads this when the first of its jobs has not simply returned.
local core = require "braid.core"
local errors = require "braid.errors"
local excerpt = require "braid.pools.excerpt"
local worker = require "braid.pools.worker"

local M = {}

local is_echo = errors.is_echo

-- The pools that jobs have made. Nil: no job has made one, because that loads the module. It is not loaded here: that
-- would delay the start of each worker.
local function registry() return package.loaded["braid.pools.registry"] end

-- ---- the end of a job -----------------------------------------------------------------------------------------------

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


-- The part of an error that can be sent. A value that is no table and cannot be sent becomes its text.
local function fit(err)
  local why = type(err) == "table" and worker.refusal(err)
  if not why then return err end
  local rest = excerpt.of(err, worker.refusal)
  if worker.refusal(rest) == nil then return rest end
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
  local start, results = core.now(), core.list_new(items.n)
  local failures
  if keep then
    failures = {}
    apply_all(fn, items, results, failures)
  else
    for i = 1, items.n do results[i] = (fn(items[i])) end
  end
  return core.slice(results, 1, items.n), core.now() - start, failures
end

-- ---- in a worker ----------------------------------------------------------------------------------------------------

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

---Finishes a job whose function has returned, or raised, and sends home what it returned. Suspends.
---@param job userdata
---@param settings table of the worker
---@param scope braid.Scope the job's own
---@param traceback string?
---@param ok boolean
---@param ... any the results, or the error
function M.finish(job, settings, scope, traceback, ok, ...)
  local how, err
  how, err, traceback = M.settle(scope, ok, (...), traceback)
  if how ~= "done" then return send_failure(job, settings, how, err, traceback) end
  local sent, refusal = pcall(job.done, job, ...)
  if not sent then job:failed(refusal) end
end

---The error of a pool whose init has raised `err`, as it is sent home.
---@param err any
---@return braid.Error
function M.init_error(err) return fit(M.init_failed(with_hint(err))) end

return M
