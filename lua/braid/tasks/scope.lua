-- SPDX-License-Identifier: MIT
--- Scopes: groups of tasks that end together, deadlines, and shields.

local core = require "braid.core"
local errors = require "braid.errors"
local missing = require "braid.missing"

local M = {}

---A task group. Made by `braid.scope`.
---@class braid.Scope
local Scope = core.Scope

---Starts a task. Its failure cancels its siblings and the body.
---@param fn fun(...): ...
---@param ... any
---@return braid.Task
Scope.spawn = Scope.spawn

---Cancels the scope: every wait inside raises kind "cancelled". The scope then ends without an error.
---@param reason any?
Scope.cancel = Scope.cancel

---Whether it was cancelled, by `cancel`, by a failure or by its deadline.
---@return boolean
Scope.cancelled = Scope.cancelled

---Whether its deadline has passed.
---@return boolean
Scope.expired = Scope.expired

---Whether it has ended, with all its children.
---@return boolean
Scope.ended = Scope.ended

local is_echo = errors.is_echo

local function failure_list() return { n = 0, seen = {} } end

-- Adds an error, but not the same one twice. It may be nil or NaN: so the list has its own count.
local function add(list, err)
  if err ~= nil and err == err then
    if list.seen[err] then return end
    list.seen[err] = true
  end
  list.n = list.n + 1
  list[list.n] = err
end

-- Adds the scope's failures to `list`: those of linked tasks, and those that nobody has asked for, which are also
-- reported. `ended`: an error has ended the scope; then the cancels that it caused are no failures.
local function collect(list, failed, ended)
  local traceback
  for _, failure in ipairs(failed or {}) do
    local err = failure:error()
    if not (ended and is_echo(err)) then
      if not failure:_linked() then failure:_report() end
      traceback = traceback or failure:traceback()
      add(list, err)
    end
  end
  list.more = failed and failed.more
  return traceback
end

---Reports the failures of a scope that nobody will conclude.
---@param failed table? what scope:_leave returned
function M.report(failed)
  for _, failure in ipairs(failed or {}) do
    if failure:_linked() then
      errors.report(failure:error(), failure:traceback(), failure.name)
    else
      failure:_report()
    end
  end
end

-- Waits for the children. If the wait fails (a deadlock, an interrupt), cancels them and waits once more. Returns the
-- error that ended the first wait.
local function join(scope)
  local ok, err = pcall(scope._join, scope)
  if ok then return end
  scope:cancel()
  pcall(scope._join, scope)
  return err
end

-- Returns the linked task that failed first; reports the failures of the others.
local function take_first(failed)
  local first
  for _, failure in ipairs(failed or {}) do
    if not failure:_linked() then
      failure:_report()
    elseif not first then
      first = failure
    else
      errors.report(failure:error(), failure:traceback(), failure.name)
    end
  end
  return first
end

---Makes the error about a scope that was never closed.
---@param opened string where it was opened: "FILE:LINE: "
---@return braid.Error
function M.never_closed(opened)
  return errors.new("misuse", opened .. "this scope was never closed, and ended with what was around it: write "
    .. "`local scope <close> = braid.scope()`")
end

local conclude

-- Ends a scope that nobody has closed.
local function end_one(scope, ok, err, place)
  local opened, busy = scope:_opened()
  local ended, failure, failure_place = errors.try(conclude, scope, ok, err, place)
  local failed = not ended and not rawequal(failure, err)
  if failed then err, place = failure, failure_place end
  if opened and (busy or (failed and not is_echo(err))) then
    errors.report(M.never_closed(opened))
  end
  return ok and ended, err, place
end

---Ends the scopes that were opened inside `outer`, or by the running task, and never closed. `ok` and the error are
---used as if they were the result of their bodies.
---@param outer braid.Scope?
---@param ok boolean
---@param err any
---@param place string?
---@return boolean ok
---@return any err
---@return string? place
function M.end_forgotten(outer, ok, err, place)
  local scope = core.innermost()
  while scope and scope ~= outer do
    ok, err, place = end_one(scope, ok, err, place)
    scope = core.innermost()
  end
  return ok, err, place
end

core.set_hook("forgotten", function(...)
  local ok, err, place = M.end_forgotten(nil, ...)
  if not ok then core.rethrow(err, place) end
end)

-- Waits for the children, leaves the scope, and raises its errors. `gathers`: raises only the first failure of a linked
-- task, no group. Returns whether the body's results count.
function conclude(scope, ok, err, traceback, gathers)
  if not scope:_mine() then ok, err, traceback = M.end_forgotten(scope, ok, err, traceback) end
  local echo = not ok and is_echo(err) and core.cancelled()
  if not ok then scope:cancel() end
  local stuck = join(scope)
  local expired = scope:expired()
  local failed = scope:_leave()
  if ok and not (failed or stuck or expired or core.cancelled()) then return ok end
  local first = gathers and take_first(failed)
  if first then core.rethrow(first:error(), first:traceback()) end
  local list = failure_list()
  if not ok and not echo then add(list, err) end
  local child_traceback = collect(list, failed, not ok)
  if stuck and list.n == 0 then core.rethrow(stuck) end
  if list.n > 0 then errors.raise(list, traceback or child_traceback) end
  if core.cancelled() then -- a cancel from outside: the end of a scope is a checkpoint
    if echo then core.rethrow(err) end
    core.checkpoint()
  end
  if expired then core.rethrow(errors.new("timeout", "the scope's time was up")) end
  return ok
end

---Ends a scope that has failed in another way. Failures of its tasks are only reported.
---@param scope braid.Scope
function M.abandon(scope)
  scope:cancel()
  join(scope)
  collect(failure_list(), scope:_leave(), true)
end

-- For `local scope <close>`. The body's own error goes on by itself; this raises only if the error is a different one.
function Scope:__close(err)
  if self:ended() then return end
  -- When an error ends a script, the interpreter makes it a string before it closes the variables.
  local was_cancel = type(err) == "string" and err:find "^cancelled" and self:cancelled() and not core.current()
  local told = was_cancel and errors.new("cancelled", err) or err
  local ended, failure, place = errors.try(conclude, self, err == nil, told)
  if not ended and not rawequal(failure, told) then core.rethrow(failure, place) end
end

local function results(scope, ok, ...)
  local err, place = ...
  if conclude(scope, ok, err, not ok and place or nil) then return ... end
end

local known = { timeout = "number" }

---Runs fn with a new scope and ends when all its children have ended, also those of `braid.spawn`. A failure of fn or
---of a child cancels the others. One failure is raised as it is, several as kind "group". Without fn it returns the
---scope, for `local scope <close> = braid.scope()`. Suspends.
---@param fn (fun(scope: braid.Scope): ...)|nil
---@param opts { timeout: number? }? timeout: seconds; then the scope is cancelled and raises kind "timeout"
---@return any ... what fn returned
function M.scope(fn, opts)
  if opts == nil and type(fn) == "table" and not (getmetatable(fn) or {}).__call then fn, opts = nil, fn end
  errors.check_options(1, "scope", opts, known)
  errors.check_seconds(1, "scope", opts, "timeout")
  if fn ~= nil then
    errors.check_function(1, "scope", "fn", fn)
    return core.within_scope(opts and opts.timeout, fn)
  end
  core.look()
  return core.scope_enter("nursery", opts and opts.timeout, true)
end

---Ends a scope that core.scope_enter has opened, like `braid.scope`. For other parts of braid.
M.conclude = conclude
M.join = join

-- ---- deadlines and shields -----------------------------------------------------------------------------------------

local function and_forgotten(scope, ok, ...)
  if not ok then return M.end_forgotten(scope, false, ...) end
  local ended, err, place = M.end_forgotten(scope, true)
  if not ended then return false, err, place end
  return true, ...
end

-- A function that ran inside a scope without children has ended. Returns false if the scope's own deadline ended it;
-- else true and its results. Raises its error.
local function leave(scope, ok, ...)
  if not scope:_mine() then return leave(scope, and_forgotten(scope, ok, ...)) end
  local expired = not ok and scope:expired()
  scope:_leave()
  if ok then return true, ... end
  local err, place = ...
  if expired and errors.is_error(err, "cancelled") and not core.cancelled() then return false end
  core.rethrow(err, place)
end

local function or_timeout(seconds, ok, ...)
  if ok then return ... end
  core.rethrow(errors.new("timeout", ("not done within %s s"):format(seconds)))
end

-- How calls inside a scope end, by the numbers of lwithin.c.
local ends = {
  function(scope, _, ...) return results(scope, ...) end,
  function(scope, seconds, ...) return or_timeout(seconds, leave(scope, ...)) end,
  function(scope, _, ...) return leave(scope, ...) end,
  function(scope, _, ...) return select(2, leave(scope, ...)) end,
}

core.set_hook("scope_end", function(how, ...) return ends[how](...) end)

local function check_seconds(what, seconds)
  if seconds ~= nil and not (type(seconds) == "number" and seconds >= 0) then
    errors.misuse(2, "bad argument 's' to '%s' (seconds, not negative, expected, got %s)", what,
      errors.described(seconds))
  end
end

---Runs fn. After s seconds cancels it and raises kind "timeout". Another error of fn is raised instead. nil: no limit.
---Suspends.
---@param s number? seconds
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function M.timeout(s, fn, ...)
  check_seconds("timeout", s)
  errors.check_function(1, "timeout", "fn", fn)
  return core.within_limit(s, fn, ...)
end

---Runs fn. After s seconds cancels it and returns false. nil: no limit. Suspends.
---@param s number? seconds
---@param fn fun(...): ...
---@param ... any
---@return boolean in_time false if it was cancelled
---@return any ... what fn returned
function M.move_on_after(s, fn, ...)
  check_seconds("move_on_after", s)
  errors.check_function(1, "move_on_after", "fn", fn)
  return core.within_time(s, fn, ...)
end

---Runs fn to its end, even if the caller is cancelled. The first wait after it raises the cancel. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function M.shield(fn, ...)
  errors.check_function(1, "shield", "fn", fn)
  return core.within_shield(nil, fn, ...)
end

missing.methods(Scope, "scope")

return M
