-- SPDX-License-Identifier: MIT
-- To which run a pool belongs, and what becomes of its jobs when that ends: docs/CONCURRENCY.md, section 3. A run is
-- what braid.run, or a job, runs; what is made outside of all belongs to the script, or to the worker.
local core = require "braid.core"
local errors = require "braid.errors"
local scopes = require "braid.tasks.scope"

local M = {}

---What is known of a pool here. It stays when the pool itself is collected.
---@class braid.PoolHandle
---@field rest fun(self) waits until no job is on its way
---@field submitted fun(self): integer a number that grows with each job
---@field over fun(self): boolean whether there will be none any more
---@field leave fun(self)? the caller ends the process
---@field abort fun(self) takes no more jobs, and cancels those that there are

-- The scope of a run -> a list of handles. The key SCRIPT: what belongs to no run.
local SCRIPT = {}
local made = setmetatable({}, { __mode = "k" })

-- Those that are over are left out, now and then; not while somebody waits for all of them.
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

---The caller's run, or the script, has made a pool.
---@param handle braid.PoolHandle
function M.add(handle)
  core.watch_end()
  local run = core.run_scope() or SCRIPT
  local list = made[run] or { most = 8 }
  made[run] = list
  if #list >= list.most then prune(list) end
  list[#list + 1] = handle
end

---Whether pools have been made in this run; nil: outside of all.
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

-- Until no job of these pools is on its way; also those that come meanwhile.
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

---Waits until no job of the pools of this run is on its way, and no task of its scope left. Suspends.
---@param run braid.Scope?
function M.finish(run)
  local list = made[run or SCRIPT]
  if list then rest(list, run) end
end

---Ends the pools of this run: what they have to do is cancelled, and not waited for.
---@param run braid.Scope?
function M.abort(run)
  abort(made[run or SCRIPT] or {})
end

---The process is about to end: what the pools of the caller's run, and of the script, have to do has until then, and is
---cancelled after that. Suspends.
---@param deadline number
function M.finish_by(deadline)
  local run = core.run_scope()
  for _, list in ipairs { run and made[run] or {}, made[SCRIPT] } do
    if not scopes.move_on_after(math.max(0, deadline - core.now()), rest, list) then abort(list) end
  end
end

---The scope of this run has been left: its pools belong to what is around it.
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

-- Before os.exit: what has failed is reported, and what is dropped is said. A job that calls it is not dropped.
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
