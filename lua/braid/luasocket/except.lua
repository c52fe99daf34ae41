-- SPDX-License-Identifier: MIT
-- LuaSocket's exceptions: `try` raises what a call has returned as its error, and `protect` returns it again.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local Exception = { __tostring = function(self) return tostring(self[1]) end }

function M.newtry(finalizer)
  return function(...)
    if (...) then return ... end
    if finalizer then pcall(finalizer) end
    error(setmetatable({ (select(2, ...)) }, Exception), 0)
  end
end

M.try = M.newtry()

local function finish(ok, ...)
  if ok then return ... end
  local err, place = ...
  if getmetatable(err) == Exception then return nil, err[1] end
  core.rethrow(err, place)
end

function M.protect(fn)
  return function(...) return finish(errors.try(fn, ...)) end
end

return M
