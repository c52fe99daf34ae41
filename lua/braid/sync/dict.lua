-- SPDX-License-Identifier: MIT
--- Dicts: values by key, for tasks, threads and processes. Values are copied in and out. A table from a dict belongs to
--- the caller; changing it does not change the dict.

local core = require "braid.core"
local errors = require "braid.errors"
local missing = require "braid.missing"

local M = {}

---Keys are strings, numbers (not NaN) and booleans.
---@class braid.Dict
local Dict = core.Dict

---The value, or nil if there is none. Never waits for an update: meanwhile it returns the old value.
---@param key string|number|boolean
---@return any? value a copy
Dict.get = Dict.get

---The keys, in no particular order.
---@return (string|number|boolean)[]
Dict.keys = Dict.keys

---The number of keys.
---@return integer
Dict.size = Dict.size

-- Takes the dict's lock: updates are done one after the other. If an owner of the lock has died, the dict has all
-- values that it had set, and no others; so just take the lock again.
local function hold(self, deadline, what)
  while true do
    local held, err = self:_lock():hold(deadline and math.max(0, deadline - core.now()))
    if held then return held end
    if err.kind ~= "owner_died" then
      err.message = err.message:gsub("^lock:acquire", what)
      return nil, err
    end
  end
end

---Sets a value; nil removes the key. Suspends while another task updates the dict. Inside an update's function it does
---not wait.
---@param key string|number|boolean
---@param value any
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Dict:set(key, value, timeout)
  if getmetatable(self) ~= Dict then errors.no_self(1, Dict, "set", self) end
  local deadline = timeout ~= nil and errors.deadline(1, "set", timeout) or nil
  if self:_set(key, value) then return true end
  local held <close>, err = hold(self, deadline, "dict:set")
  if not held then return nil, err end
  return self:_set(key, value)
end

---Sets the value to fn(old value), atomically: meanwhile all others that want to change the dict wait (those that only
---read do not). An error of fn is raised, and the value is not changed. It is not changed either if fn is cancelled, or
---its thread or process dies. fn may wait, and may get and set other keys of this dict. An update inside an update of
---the same dict is an error. Suspends.
---@param key string|number|boolean
---@param fn fun(value: any?): any? nil removes the key
---@param timeout number? seconds to wait for other updates
---@return any? value the new value
---@return braid.Error? err kind "timeout"
function Dict:update(key, fn, timeout)
  errors.check_function(1, "update", "fn", fn)
  local deadline = errors.deadline(1, "update", timeout)
  if self:_mine() then errors.misuse(1, "an update of this dict is going on here: it would wait for itself") end
  local held <close>, err = hold(self, deadline, "dict:update")
  if not held then return nil, err end
  local value = fn(self:get(key))
  self:_set(key, value)
  return value
end

---Makes a dict.
---@return braid.Dict
M.dict = core.dict_new

errors.guard(Dict, Dict, { set = true })
missing.methods(Dict, "dict")

return M
