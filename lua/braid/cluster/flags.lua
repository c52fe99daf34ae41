-- SPDX-License-Identifier: MIT
--- Counters and events of a cluster.

local core = require "braid.core"
local errors = require "braid.errors"
local kv = require "braid.cluster.kv"

local M = {}

local PAUSE = 0.01 -- seconds at most before another try after a collision

-- ---- counter --------------------------------------------------------------------------------------------------------

---@class braid.cluster.Counter
---@field private _kv braid.cluster.Kv
---@field private _key string
---@field private _value integer the last one that was seen, and its revision
---@field private _revision integer?
local Counter = { __name = "braid.cluster.counter" }
Counter.__index = Counter

local function read(self)
  local text, revision = self._kv:get(self._key)
  self._value, self._revision = math.tointeger(tonumber(text or "0")), revision
end

---Adds n, and returns the new value. Suspends.
---@param n integer? default 1
---@return integer
function Counter:add(n)
  n = n == nil and 1 or errors.integer(1, "add", "n", n, math.mininteger)
  local tries = 0
  if not self._revision then read(self) end
  while true do
    local value = self._value + n
    local revision = self._kv:put(self._key, ("%d"):format(value), self._revision)
    if revision then
      if revision > self._revision then self._value, self._revision = value, revision end
      return value
    end
    tries = tries + 1
    if tries > 1 then core.sleep(math.random() * PAUSE * math.min(tries, 10)) end
    read(self)
  end
end

---The value. Suspends.
---@return integer
function Counter:get()
  read(self)
  return self._value
end

---Sets the value. Suspends.
---@param value integer
function Counter:set(value)
  value = errors.integer(1, "set", "value", value, math.mininteger)
  local revision = self._kv:put(self._key, ("%d"):format(value))
  self._value, self._revision = value, revision
end

---@private
---@param cluster braid.cluster.Cluster
---@param name string
---@return braid.cluster.Counter
function M.counter(cluster, name)
  return setmetatable({ _kv = kv.open(cluster, "kv"), _key = "counter_" .. kv.token(name) }, Counter)
end

-- ---- event ----------------------------------------------------------------------------------------------------------

---@class braid.cluster.Event
---@field private _kv braid.cluster.Kv
---@field private _key string
local Event = { __name = "braid.cluster.event" }
Event.__index = Event

---Sets the event: who waits on any machine goes on. Suspends.
function Event:set() self._kv:put(self._key, "set") end

---Clears the event. Suspends.
function Event:clear() self._kv:put(self._key, nil) end

---Whether the event is set. Suspends.
---@return boolean
function Event:is_set() return self._kv:get(self._key) ~= nil end

---Waits until the event is set. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Event:wait(timeout)
  local deadline = errors.deadline(1, "wait", timeout)
  if self._kv:wait(self._key, deadline, function() return self._kv:get(self._key) end) then return true end
  return nil, errors.new("timeout", "event:wait: timed out")
end

---@private
---@param cluster braid.cluster.Cluster
---@param name string
---@return braid.cluster.Event
function M.event(cluster, name)
  return setmetatable({ _kv = kv.open(cluster, "kv"), _key = "event_" .. kv.token(name) }, Event)
end

errors.guard(Counter)
errors.guard(Event)

M.Counter, M.Event = Counter, Event

return M
