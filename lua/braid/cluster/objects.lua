-- SPDX-License-Identifier: MIT
-- The shared objects of a cluster by their names. A cluster object has each of them once; in a job they are found again
-- on the worker's own connection.
local core = require "braid.core"
local dict = require "braid.cluster.dict"
local errors = require "braid.errors"
local flags = require "braid.cluster.flags"
local lease = require "braid.cluster.lease"
local limiters = require "braid.sync.limiter"
local queue = require "braid.cluster.queue"

local M = {}

-- A limiter's times are on the clock of its process; the cluster has them on the clock of the day.
local Times = {}
Times.__index = Times

function Times:update(key, fn)
  local shift
  local paid = self.dict:update(key, function(stored)
    shift = core.wall_time() - core.now()
    local after = fn(stored and stored - shift)
    return after and after + shift
  end)
  return paid and paid - shift
end

function Times:keys() return self.dict:keys() end

local function limiter(cluster, name, opts)
  local made = limiters.limiter(opts)
  made._times = setmetatable({ dict = dict.new(cluster, "limiter " .. name) }, Times)
  return made
end

local MAKERS = {
  queue = function(cluster, name, opts) return queue.new(cluster, name, opts, flags.counter) end,
  dict = dict.new, counter = flags.counter, event = flags.event, lock = lease.lock, semaphore = lease.semaphore,
  limiter = limiter,
}

---Object -> how it is made.
M.recipes = setmetatable({}, { __mode = "k" })

---@param cluster braid.cluster.Cluster
---@param kind string
---@param name string
---@param ... any further arguments of its maker
---@return table object
function M.get(cluster, kind, name, ...)
  if type(name) ~= "string" or name == "" then
    errors.misuse(2, "bad argument 'name' to '%s' (a text expected, got %s)", kind,
      name == "" and "an empty one" or errors.described(name))
  end
  local key = kind .. " " .. name
  local known = cluster.objects[key]
  if known then return known end
  local made = MAKERS[kind](cluster, name, ...)
  cluster.objects[key] = made
  M.recipes[made] = table.pack(kind, name, ...)
  return made
end

---The cluster of this state, when it runs jobs of one: lua/braid/cluster/inside.lua replaces it.
function M.own()
  core.rethrow(errors.new("not_sendable", "an object of a cluster can only be sent to jobs of the cluster"))
end

local CLASSES = {
  queue = queue.Queue, dict = dict.Dict, counter = flags.Counter, event = flags.Event, lock = lease.Lock,
  semaphore = lease.Semaphore,
}

-- An object that has arrived in a job has no fields yet, because a message cannot wait while it is decoded: the first
-- access opens the object, and takes over its fields.
local function open(self, recipe)
  self._recipe = nil
  for field, value in pairs(M.get(M.own(), table.unpack(recipe, 1, recipe.n))) do self[field] = value end
end

for _, class in pairs(CLASSES) do
  function class.__index(self, field)
    local method = class[field]
    if method ~= nil then return method end
    local recipe = rawget(self, "_recipe")
    if not recipe then return nil end
    open(self, recipe)
    return rawget(self, field)
  end
end

---@private The object in another state.
---@param kind string
---@param ... any the name, and further arguments of its maker
---@return table object
function M.unpack(kind, ...) return setmetatable({ _recipe = table.pack(kind, ...) }, CLASSES[kind]) end

---@private For what belongs to one process.
---@param self table
function M.refuse_to_be_sent(self)
  core.rethrow(errors.new("not_sendable", ("a %s belongs to its process: use braid.cluster there"):format(
    getmetatable(self).__name)))
end

local function pack(self)
  local recipe = rawget(self, "_recipe") or M.recipes[self]
  return M.unpack, table.unpack(recipe, 1, recipe.n)
end

for _, class in pairs(CLASSES) do class.__braid_pack = pack end

return M
