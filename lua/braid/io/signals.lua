-- SPDX-License-Identifier: MIT
-- Signals as something to wait for.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---Signals that this program waits for. `for name in signals do` iterates over them, until it is closed.
---@class braid.Signals
---@field private _watch userdata
---@field private _waiting integer tasks in `get`
local Signals = { __name = "braid.signals" }
Signals.__index = Signals

local function closed_error() return errors.new("closed", "signals:get: it is closed") end

-- The descriptor is closed when nobody waits for it any more.
local function close_when_left(self)
  if self._closed and self._waiting == 0 then self._watch:close() end
end

local function wait(self, timeout)
  self._waiting = self._waiting + 1
  local ok, ready, err = pcall(core.wait_fd, self._watch:fd(), "r", timeout)
  self._waiting = self._waiting - 1
  if self._closed and self._waiting > 0 then self._watch:wake() end
  if not ok then
    close_when_left(self)
    core.rethrow(ready)
  end
  return ready, err
end

---Waits for the next signal. One that came several times since the last call is told once. Suspends.
---@param timeout number? seconds
---@return string? name as in "HUP"
---@return braid.Error? err kind "timeout" or "closed"
function Signals:get(timeout)
  local deadline = errors.deadline(1, "get", timeout)
  while not self._closed do
    local name = self._watch:next()
    if name then return name end
    local ready, err = wait(self, errors.time_left(deadline))
    if not ready and not self._closed then
      if err.kind == "timeout" then err = errors.new("timeout", "signals:get: timed out") end
      return nil, err
    end
  end
  close_when_left(self)
  return nil, closed_error()
end

---Gives the signals up: what they did before happens again. Who waits in `get` is told (kind "closed").
function Signals:close()
  if self._closed then return end
  self._closed = true
  self._watch:wake()
  close_when_left(self)
end

function Signals:__call() return (self:get()) end
function Signals:__close() self:close() end

---Waits for signals from now on, in place of what they do otherwise: `braid.signals("HUP", "TERM")`. Every object that
---names a signal is told. Programs that are started meanwhile have the usual dispositions.
---@param name string "HUP" or "SIGHUP"
---@param ... string further names
---@return braid.Signals
function M.signals(name, ...)
  local watch, err = core.signal_watch(name, ...)
  if not watch then -- what nobody holds any more may make room
    collectgarbage()
    watch, err = core.signal_watch(name, ...)
  end
  if not watch then error(err, 0) end
  return setmetatable({ _watch = watch, _waiting = 0 }, Signals)
end

errors.guard(Signals)

return M
