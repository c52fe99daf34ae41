-- SPDX-License-Identifier: MIT
--- Scopes: groups of tasks that end together, deadlines, and shields.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---A task group. Made by `braid.scope`.
---@class braid.Scope
local Scope = core.Scope

---Starts a task whose failure cancels its siblings and the body.
---@param fn fun(...): ...
---@param ... any
---@return braid.Task
Scope.spawn = Scope.spawn

---Ends the scope early: every wait inside raises kind "cancelled". This is not an error.
---@param reason any?
Scope.cancel = Scope.cancel

local is_echo = errors.is_echo

local function failure_list() return { n = 0, seen = {} } end

-- The same error once. It may be nil, or not a number: the list has its own count.
local function add(list, err)
  if err ~= nil and err == err then
    if list.seen[err] then return end
    list.seen[err] = true
  end
  list.n = list.n + 1
  list[list.n] = err
end

-- Adds to `list` the failures that are the scope's: of linked tasks, and of those that nobody has asked for, which are
-- reported too. When something else ends the scope, what it has cancelled is no failure: `ended` by an error.
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

---Reports what failed in a scope that nobody will end.
---@param failed table? as scope:_leave gives it
function M.report(failed)
  for _, failure in ipairs(failed or {}) do
    if failure:_linked() then
      errors.report(failure:error(), failure:traceback(), failure.name)
    else
      failure:_report()
    end
  end
end

-- Waits for the children. When that cannot end (a deadlock), or is interrupted, they are cancelled and have one more
-- chance to end; what stopped the wait is returned.
local function join(scope)
  local ok, err = pcall(scope._join, scope)
  if ok then return end
  scope:cancel()
  pcall(scope._join, scope)
  return err
end

-- The linked task that failed first: what the others failed with is reported.
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

---The error of a scope that was entered by hand there.
---@param opened string "FILE:LINE: "
---@return braid.Error
function M.never_closed(opened)
  return errors.new("misuse", opened .. "this scope was never closed, and ended with what was around it: write "
    .. "`local scope <close> = braid.scope()`")
end

local conclude

-- Ends one that nobody has closed.
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

---Ends the scopes that were entered inside `outer`, or by who runs, and not closed, as if what has ended now, well or
---with an error, had been their body.
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

-- Waits for the children, leaves the scope, and raises what has to be raised: with `gathers` the first failure of a
-- linked task, and no group. Returns whether the body's results count.
function conclude(scope, ok, err, traceback, gathers)
  if not scope:_mine() then ok, err, traceback = M.end_forgotten(scope, ok, err, traceback) end
  local echo = not ok and is_echo(err) and core.cancelled()
  if not ok then scope:cancel() end
  local stuck = join(scope)
  local expired = scope:expired()
  local failed = scope:_leave()
  local first = gathers and take_first(failed)
  if first then core.rethrow(first:error(), first:traceback()) end
  local list = failure_list()
  if not ok and not echo then add(list, err) end
  local child_traceback = collect(list, failed, not ok)
  if stuck and list.n == 0 then core.rethrow(stuck) end
  if list.n > 0 then errors.raise(list, traceback or child_traceback) end
  if core.cancelled() then -- from outside: the end of a scope is a wait like any other
    if echo then core.rethrow(err) end
    core.checkpoint()
  end
  if expired then core.rethrow(errors.new("timeout", "the scope's time was up")) end
  return ok
end

---Ends a scope that was entered by hand and has failed otherwise: what its tasks failed with besides is reported.
---@param scope braid.Scope
function M.abandon(scope)
  scope:cancel()
  join(scope)
  collect(failure_list(), scope:_leave(), true)
end

-- For `local scope <close>`: the body's own error goes on by itself unless something else is to be raised.
function Scope:__close(err)
  if self:ended() then return end
  -- An interpreter has made text of an error that ends the script before its variables are closed.
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

---Runs fn with a new scope and ends when all its children have ended, the `braid.spawn`ed ones included. A failure of
---fn or of a child cancels the others; one failure is raised as it is, several as kind "group". Without fn: returns the
---scope, for `local scope <close> = braid.scope()`. Suspends.
---@param fn (fun(scope: braid.Scope): ...)|nil
---@param opts { timeout: number? }? timeout in seconds: raises kind "timeout" when it fires
---@return any ... what fn returned
function M.scope(fn, opts)
  if opts == nil and type(fn) == "table" and not (getmetatable(fn) or {}).__call then fn, opts = nil, fn end
  errors.check_options(1, "scope", opts, known)
  errors.check_seconds(1, "scope", opts, "timeout")
  if fn ~= nil then errors.check_function(1, "scope", "fn", fn) end
  core.look()
  local scope = core.scope_enter("nursery", opts and opts.timeout, not fn)
  if not fn then return scope end
  return results(scope, errors.try(fn, scope))
end

---Ends a scope that was entered by hand, as `braid.scope` does: for the other parts of braid.
M.conclude = conclude
M.join = join

-- ---- deadlines and shields -----------------------------------------------------------------------------------------

local function and_forgotten(scope, ok, ...)
  if not ok then return M.end_forgotten(scope, false, ...) end
  local ended, err, place = M.end_forgotten(scope, true)
  if not ended then return false, err, place end
  return true, ...
end

-- Runs fn inside a scope that takes no children; returns whether the scope's own deadline ended it, then pcall's.
local function inside(kind, seconds, fn, ...)
  local scope = core.scope_enter(kind, seconds)
  local function leave(ok, ...)
    if not scope:_mine() then return leave(and_forgotten(scope, ok, ...)) end
    local expired = not ok and scope:expired()
    scope:_leave()
    if ok then return true, ... end
    local err, place = ...
    if expired and errors.is_error(err, "cancelled") and not core.cancelled() then return false end
    core.rethrow(err, place)
  end
  return leave(errors.try(fn, ...))
end

local function check_seconds(what, seconds)
  if seconds ~= nil and not (type(seconds) == "number" and seconds >= 0) then
    errors.misuse(2, "bad argument 's' to '%s' (seconds, not negative, expected, got %s)", what, errors.text(seconds))
  end
end

local function or_timeout(seconds, ok, ...)
  if ok then return ... end
  core.rethrow(errors.new("timeout", ("not done within %s s"):format(seconds)))
end

---Runs fn; cancels it after s seconds and raises kind "timeout". fn's own error wins. nil disables. Suspends.
---@param s number? seconds
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function M.timeout(s, fn, ...)
  check_seconds("timeout", s)
  errors.check_function(1, "timeout", "fn", fn)
  core.look()
  return or_timeout(s, inside("limit", s, fn, ...))
end

---Runs fn; cancels it after s seconds and goes on. Suspends.
---@param s number? seconds
---@param fn fun(...): ...
---@param ... any
---@return boolean in_time
---@return any ... what fn returned
function M.move_on_after(s, fn, ...)
  check_seconds("move_on_after", s)
  errors.check_function(1, "move_on_after", "fn", fn)
  core.look()
  return inside("limit", s, fn, ...)
end

---Runs fn to its end though the caller is cancelled; the cancel is raised by the next wait after it. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function M.shield(fn, ...)
  errors.check_function(1, "shield", "fn", fn)
  return select(2, inside("shield", nil, fn, ...))
end

return M
