-- SPDX-License-Identifier: MIT
--- Tasks: functions that run concurrently on one loop.

local core = require "braid.core"
local errors = require "braid.errors"
local pools = require "braid.pools.registry"
local scopes = require "braid.tasks.scope"

local M = {}

---A running function, and the future of its result.
---@class braid.Task: braid.Future
---@field name string? for reports
local Task = core.Task

---Makes the task a daemon: when its scope ends, it is cancelled instead of awaited.
---@return braid.Task self
Task.daemon = Task.daemon

---Starts a task in the current scope. Its failure cancels nobody and is kept for `result()`. If nobody has asked for it
---by the end of the scope, it is reported on stderr and the scope raises it. Outside `braid.run` the task runs whenever
---the script waits for something.
---@param fn fun(...): ...
---@param ... any its arguments
---@return braid.Task
function M.spawn(fn, ...) return core.spawn(fn, ...) end
M.spawn = core.spawn

---Waits. 0 lets other tasks run. Suspends.
---@param seconds number
function M.sleep(seconds) return core.sleep(seconds) end
M.sleep = core.sleep

---Lets other tasks run; raises if the task is cancelled. Suspends.
function M.checkpoint() end
M.checkpoint = core.checkpoint

---Monotonic time in seconds.
---@return number
function M.now() return core.now() end
M.now = core.now

---The running task; nil outside of tasks.
---@return braid.Task?
function M.current() return core.current() end
M.current = core.current

---All tasks that have not ended.
---@return braid.Task[]
function M.tasks() return core.tasks() end
M.tasks = core.tasks

---The task's own table of values, copied from its parent's when it was spawned.
---@return table
function M.locals() return core.locals() end
M.locals = core.locals

---Like coroutine.wrap, but fn may wait.
---@param fn fun(...): ...
---@return fun(...): ...
function M.wrap(fn) return core.wrap(fn) end
M.wrap = core.wrap

-- All tasks of a run have ended. If all went well, waits for the jobs of its pools. Else, or if that wait fails,
-- cancels them. Returns the error of that wait.
local function finish_pools(scope, well)
  local ok, err = true, nil
  if well then ok, err = pcall(pools.finish, scope) end
  if well and ok then return end
  pools.abort(scope)
  if well then
    scope:cancel()
    scopes.join(scope)
  end
  return err
end

local may_nest = false

---Whether a call of `braid.run` inside a task is a scope there: in a test the program's own call is.
---@param on boolean
function M.let_runs_nest(on) may_nest = on end

local function run_inside(main, ...)
  local arguments = table.pack(...)
  return scopes.scope(function() return main(table.unpack(arguments, 1, arguments.n)) end)
end

---Runs main as a task. Ends when main and every task that it spawned have ended; if all went well, also the jobs of the
---pools that were made in it. Raises main's error. SIGINT cancels the main task (kind "interrupted"; a script then ends
---with status 130); a second SIGINT ends the process at once.
---@param main fun(...): ...
---@param ... any its arguments
---@return any ... what main returned
function M.run(main, ...)
  if core.current() and may_nest then
    errors.check_function(1, "run", "main", main)
    return run_inside(main, ...)
  elseif core.current() then
    errors.misuse(1, "braid.run inside a task: it is the outermost scope; use braid.scope or braid.spawn here")
  end
  errors.check_function(1, "run", "main", main)
  local scope = core.scope_enter("run")
  local task = core.spawn(main, ...)
  task.name = "main"
  task:on_done(function()
    if task:_state() ~= "done" then scope:cancel() end
  end)
  core.set_main(task)
  local stuck = scopes.join(scope)
  if pools.made(scope) then
    local well = not stuck and task:_state() == "done" and not scope:cancelled() and not scope:_failing()
    stuck = finish_pools(scope, well) or stuck
  end
  local interrupted = core.set_main(nil)
  if not task:done() then -- a cancel did not end it either
    scopes.report(scope:_leave())
    pools.pass_on(scope)
    core.rethrow(stuck)
  end
  local ok, err, traceback = task:_state() == "done", task:error(), task:traceback()
  if interrupted and ok then
    ok, err = false, errors.new("interrupted", "interrupted")
  elseif stuck then
    ok, err, traceback = false, stuck, nil
  end
  local ended, failure, place = errors.try(scopes.conclude, scope, ok, err, traceback)
  pools.pass_on(scope)
  if not ok then core.rethrow(err, traceback) end
  if not ended then core.rethrow(failure, place) end
  return task:result()
end

local MOST_NAMED = 10

-- When the state closes: reports what failed outside of any run, and what did not end.
core.set_hook("closing", function(left)
  for _, name in ipairs(core.pools()) do
    io.stderr:write(("braid: the workers of %s would not end with the script\n"):format(
      name == "" and "a pool without a name" or ("pool '%s'"):format(name)))
  end
  if left > 0 then
    local names = {}
    for i, task in ipairs(core.tasks()) do names[i] = tostring(task) end
    local more = #names > MOST_NAMED and (" and %d more"):format(#names - MOST_NAMED) or ""
    io.stderr:write(("braid: %d tasks would not end with the script: %s%s\n"):format(left,
      table.concat(names, ", ", 1, math.min(#names, MOST_NAMED)), more))
  end
  local scope = core.left_open()
  while scope do
    local opened, failed = scope:_opened(), scope:_leave()
    scopes.report(failed)
    if opened and failed then errors.report(scopes.never_closed(opened)) end
    scope = core.left_open()
  end
  scopes.report(core.root_failures())
  core.report_failures()
end)

return M
