-- SPDX-License-Identifier: MIT
--- Dicts of a cluster: values by key, for all machines.

local core = require "braid.core"
local errors = require "braid.errors"
local kv = require "braid.cluster.kv"
local value_of = require "braid.cluster.value"

local M = {}

local PAUSE = 0.05 -- seconds at most before another try after a collision

---Keys are strings, numbers (not NaN) and booleans.
---@class braid.cluster.Dict
---@field private _cluster braid.cluster.Cluster
---@field private _kv braid.cluster.Kv
local Dict = { __name = "braid.cluster.dict" }
Dict.__index = Dict

-- ---- keys as tokens -------------------------------------------------------------------------------------------------

local function hex(bytes) return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end
local function bytes_of(text) return (text:gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end)) end

local function token_of(what, key)
  local kind = math.type(key) or type(key)
  if kind == "float" and math.tointeger(key) then kind, key = "integer", math.tointeger(key) end
  if kind == "string" then return "s" .. hex(key) end
  if kind == "integer" then return ("i%d"):format(key) end
  if kind == "float" and key == key then return "f" .. hex(string.pack("<n", key)) end
  if kind == "boolean" then return "b" .. tostring(key) end
  errors.misuse(2, "bad argument 'key' to '%s' (a string, a number or a boolean expected, got %s)", what,
    key ~= key and "nan" or errors.described(key))
end

local function key_of(token)
  local kind, rest = token:sub(1, 1), token:sub(2)
  if kind == "s" then return bytes_of(rest) end
  if kind == "i" then return math.tointeger(tonumber(rest)) end
  if kind == "f" then return (string.unpack("<n", bytes_of(rest))) end
  return rest == "true"
end

-- ---- methods --------------------------------------------------------------------------------------------------------

---The value, or nil if there is none. Suspends.
---@param key string|number|boolean
---@return any? value a copy
function Dict:get(key)
  local text = self._kv:get(token_of("get", key))
  if text then return value_of.decode(self._cluster, text) end
end

---Sets a value; nil removes the key. Suspends.
---@param key string|number|boolean
---@param value any
---@return boolean ok
function Dict:set(key, value)
  local token = token_of("set", key)
  local old = self._kv:get(token)
  self._kv:put(token, value ~= nil and value_of.encode(self._cluster, "value", value) or nil)
  if old then value_of.drop(self._cluster, old) end
  return true
end

---Sets the value to fn(old value), atomically: when another one has changed it meanwhile, fn is called again. Suspends.
---@param key string|number|boolean
---@param fn fun(value: any?): any? nil removes the key
---@param timeout number? seconds
---@return any? value the new value
---@return braid.Error? err kind "timeout"
function Dict:update(key, fn, timeout)
  local token = token_of("update", key)
  errors.check_function(1, "update", "fn", fn)
  local deadline = errors.deadline(1, "update", timeout)
  while true do
    local old, revision = self._kv:get(token)
    local value = fn(old and value_of.decode(self._cluster, old))
    local text = value ~= nil and value_of.encode(self._cluster, "value", value) or nil
    if text == nil and old == nil or self._kv:put(token, text, revision) then
      if old then value_of.drop(self._cluster, old) end
      return value
    end
    if text then value_of.drop(self._cluster, text) end
    if deadline and core.now() >= deadline then return nil, errors.new("timeout", "dict:update: timed out") end
    core.sleep(math.random() * PAUSE)
  end
end

---The keys, in no particular order. Suspends.
---@return (string|number|boolean)[]
function Dict:keys()
  local list = setmetatable({}, core.List)
  for i, token in ipairs(self._kv:keys()) do list[i] = key_of(token) end
  return list
end

---The number of keys. Suspends.
---@return integer
function Dict:size() return #self._kv:keys() end

---@private
---@param cluster braid.cluster.Cluster
---@param name string
---@return braid.cluster.Dict
function M.new(cluster, name)
  return setmetatable({ _cluster = cluster, _kv = kv.open(cluster, "dict_" .. kv.token(name)) }, Dict)
end

errors.guard(Dict)

M.Dict = Dict

return M
