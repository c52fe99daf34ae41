-- SPDX-License-Identifier: MIT
--- Dicts: values by their keys, for tasks, threads and processes. Values are copied in and out: a table that came out
--- is the caller's own, and changing it changes nothing in the dict.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---Keys are strings, numbers (not NaN) and booleans.
---@class braid.Dict
local Dict = core.Dict

---The value, or nil when there is none. Never waits: during an update it is the old one.
---@param key string|number|boolean
---@return any? value a copy
Dict.get = Dict.get

---The keys, in no order.
---@return (string|number|boolean)[]
Dict.keys = Dict.keys

---How many keys there are.
---@return integer
Dict.size = Dict.size

-- The dict's lock, held: update after update. Who ended while holding it has changed nothing that he had not set.
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

---Sets a value; nil takes the key out. Suspends while somebody else's update goes on; inside an update's own function
---it does not wait.
---@param key string|number|boolean
---@param value any
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Dict:set(key, value, timeout)
  if type(self) ~= "userdata" then errors.no_self(1, Dict, "set", self) end
  local deadline = timeout ~= nil and errors.deadline(1, "set", timeout) or nil
  if self:_set(key, value) then return true end
  local held <close>, err = hold(self, deadline, "dict:set")
  if not held then return nil, err end
  return self:_set(key, value)
end

---Sets the value to what fn makes of the old one, atomically: everybody else who would change the dict waits for the
---end of it (who only reads does not). What fn raises is raised, and the value stays; so it does when fn is cancelled,
---or its thread or process dies. fn may wait, and may get and set other keys of this dict; an update in an update of
---the same dict is an error. Suspends.
---@param key string|number|boolean
---@param fn fun(value: any?): any? nil takes the key out
---@param timeout number? seconds to wait for the others
---@return any? value the new one
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

return M
