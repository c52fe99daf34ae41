-- SPDX-License-Identifier: MIT
-- What specs expect: errors of a kind, refusals at the caller's line, and what comes to pass in time.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"

local M = {}

--- fn(...) raises an error of that kind; gives the error.
---@param kind string
---@param fn fun(...): ...
---@return braid.Error
function M.raises(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "no error was raised")
  assert.is_true(braid.is_error(err, kind), "not of kind " .. kind .. ": " .. tostring(err))
  return err
end

local function holds(text, part)
  if text:find(part, 1, true) then return true end
  local ok, place = pcall(string.find, text, part)
  return ok and place ~= nil
end

--- fn(...) is refused as misuse, at a line of a spec; gives the error.
---@param part string? what stands in the message: as it is, or a pattern
---@param fn fun(...): ...
---@return braid.Error
function M.misused(part, fn, ...)
  local err = M.raises("misuse", fn, ...)
  assert.matches("^%.?/?spec/[%w_/]+%.lua:%d+: ", err.message)
  assert.is_true(part == nil or holds(err.message, part), err.message)
  return err
end

--- The results of a call: nil, and an error of that kind; gives the error.
---@param kind string
---@param value nil
---@param err braid.Error
---@return braid.Error
function M.fails(kind, value, err)
  assert.is_nil(value)
  assert.is_true(braid.is_error(err, kind), tostring(err))
  return err
end

--- The part stands in the text, as it is.
---@param text string
---@param part string
function M.contains(text, part) assert.is_truthy(text:find(part, 1, true), "no '" .. part .. "' in:\n" .. text) end

--- Waits for a job, which fails; gives its error.
---@param future braid.Future
---@param timeout number?
---@return any
function M.failure(future, timeout)
  local ok, err = pcall(future.result, future, timeout)
  assert.is_false(ok, "the job did not fail")
  return err
end

--- Waits until the condition holds.
---@param condition fun(): any
---@param what string? what it is that did not come to pass
---@param seconds number? default 5
---@return any value what the condition returned at last
function M.eventually(condition, what, seconds)
  local deadline = braid.now() + (seconds or 5) * helper.slowness
  while true do
    local value = condition()
    if value then return value end
    assert.is_true(braid.now() < deadline, what or "it never came so far")
    braid.sleep(0.002)
  end
end

--- What fn writes to stderr through Lua.
---@param fn fun()
---@return string text
---@return integer writes how many
function M.stderr_of(fn)
  local real, written = io.stderr, {}
  io.stderr = { write = function(_, ...) written[#written + 1] = table.concat { ... } end } -- luacheck: ignore
  local ok, err = pcall(fn)
  io.stderr = real -- luacheck: ignore
  if not ok then error(err, 0) end
  return table.concat(written), #written
end

return M
