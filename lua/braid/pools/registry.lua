-- SPDX-License-Identifier: MIT
-- Which run owns a pool, and what happens to the pool's jobs when that run ends: docs/CONCURRENCY.md, section 3. A run
-- is a call of braid.run, or a job. Pools that are made outside of every run belong to the script, or to the worker.
local core = require "braid.core"
local errors = require "braid.errors"
local scopes = require "braid.tasks.scope"

local M = {}

---A handle of a pool. It stays when the pool itself is collected.
---@class braid.PoolHandle
---@field rest fun(self) waits until the pool has no unfinished job
---@field submitted fun(self): integer a number that grows with each submitted job
---@field over fun(self): boolean whether no job can come any more
---@field leave fun(self)? the caller is about to end the process
---@field abort fun(self) takes no more jobs, and cancels the existing ones

-- The scope of a run -> the list of its handles. The key SCRIPT has the pools that belong to no run.
local SCRIPT = {}
local made = setmetatable({}, { __mode = "k" })

local stand_in -- makes the pools of threads and processes while a test runs; nil: they are real

---Sets the function that makes them: fn(kind, opts) -> pool. Returns the one before.
---@param fn (fun(kind: string, opts: any): table)?
---@return (fun(kind: string, opts: any): table)?
function M.swap_stand_in(fn)
  local before = stand_in
  stand_in = fn
  return before
end

---The pool that stands in for one of this kind; nil: a real one is to be made.
---@param kind "thread_pool"|"process_pool"|"to_thread"
---@param opts any
---@return table?
function M.stand_in(kind, opts)
  return stand_in and stand_in(kind, opts)
end

-- Removes handles of finished pools from time to time; not while somebody waits for the whole list.
local function prune(list)
  local left = 0
  if list.finishing then return end
  for i = 1, #list do
    local handle = list[i]
    list[i] = nil
    if not handle:over() then
      left = left + 1
      list[left] = handle
    end
  end
  list.most = 2 * left + 8
end

---Adds a new pool to the caller's run, or to the script.
---@param handle braid.PoolHandle
function M.add(handle)
  core.watch_end()
  local run = core.run_scope() or SCRIPT
  local list = made[run] or { most = 8 }
  made[run] = list
  if #list >= list.most then prune(list) end
  list[#list + 1] = handle
end

---Whether this run has made pools; nil: the script.
---@param run braid.Scope?
---@return boolean
function M.made(run)
  return made[run or SCRIPT] ~= nil
end

local function submitted(list)
  local count = 0
  for _, handle in ipairs(list) do count = count + handle:submitted() end
  return count
end

-- Waits until these pools have no unfinished job, not even one that is submitted meanwhile.
local function rest(list, run)
  list.finishing = true
  local before
  repeat
    before = submitted(list)
    for i = 1, #list do list[i]:rest() end
    if run then run:_join() end
  until submitted(list) == before
  list.finishing = false
end

local function abort(list)
  for _, handle in ipairs(list) do handle:abort() end
  list.finishing = false
end

---Waits until the pools of this run have no unfinished job, and its scope has no task. Suspends.
---@param run braid.Scope?
function M.finish(run)
  local list = made[run or SCRIPT]
  if list then rest(list, run) end
end

---Ends the pools of this run: cancels their jobs, and does not wait for them.
---@param run braid.Scope?
function M.abort(run)
  abort(made[run or SCRIPT] or {})
end

---The process is about to end. The pools of the caller's run, and of the script, may finish their jobs until the
---deadline. Then their jobs are cancelled. Suspends.
---@param deadline number
function M.finish_by(deadline)
  local run = core.run_scope()
  for _, list in ipairs { run and made[run] or {}, made[SCRIPT] } do
    if not scopes.move_on_after(math.max(0, deadline - core.now()), rest, list) then abort(list) end
  end
end

---The scope of this run has ended: its pools belong to the run around it from now on.
---@param run braid.Scope
function M.pass_on(run)
  local list = made[run]
  made[run] = nil
  if not list then return end
  local outer = core.run_scope() or SCRIPT
  local others = made[outer] or { most = 8 }
  made[outer] = table.move(list, 1, #list, #others + 1, others)
  prune(others)
end

-- ---- the end of the script ------------------------------------------------------------------------------------------

core.set_hook("ending", function()
  if not M.made() then return end
  local ok, err = pcall(M.finish)
  if ok then return end
  M.abort()
  if errors.is_error(err, "interrupted") then
    io.stderr:write("braid: interrupted\n")
    core.tell_dropped()
    core.exit_interrupted()
  else
    errors.report(err, nil, "the end of the script")
  end
end)

-- Before os.exit: reports failures and the jobs that are lost. A job that calls os.exit does not count as lost itself.
core.set_hook("leaving", function()
  for _, list in pairs(made) do
    for _, handle in ipairs(list) do
      if handle.leave then handle:leave() end
    end
  end
  core.report_failures()
  core.tell_dropped()
end)

return M
