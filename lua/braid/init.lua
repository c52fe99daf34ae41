-- SPDX-License-Identifier: MIT
--- braid: the module table. It has only names: the first use of a name loads its part. Nothing is started.

if _VERSION ~= "Lua 5.4" then
  error("braid needs Lua 5.4.3 or a later 5.4, and this is " .. _VERSION .. ": run the script with lua5.4", 0)
end
if string.packsize("T") < 8 then error("braid needs a Lua of 64 bits, and this one has 32", 0) end

local search = require "braid.search"
search.keep((select(2, ...)))

-- part -> the names that it defines
local places = {
  errors = { "is_error", "on_unhandled" },
  ["tasks.scope"] = { "scope", "timeout", "move_on_after", "shield" },
  ["tasks.every"] = { "every" },
  ["tasks.task"] = { "run", "spawn", "sleep", "checkpoint", "now", "current", "tasks", "locals", "wrap" },
  ["tasks.gather"] = { "gather", "map", "race", "as_completed", "wait", "select" },
  ["sync.queue"] = { "queue" }, ["sync.resource_pool"] = { "resource_pool" }, ["sync.limiter"] = { "limiter" },
  ["sync.array"] = { "array" }, ["sync.dict"] = { "dict" },
  ["sync.primitives"] = { "lock", "semaphore", "event", "condition", "barrier", "counter" },
  ["io.descriptor"] = { "wait_fd" }, ["io.signals"] = { "signals" },
  ["pools.executor"] = { "cpu_count" }, ["pools.inline"] = { "inline_pool" }, ["pools.task_pool"] = { "task_pool" },
  ["pools.thread_pool"] = { "thread_pool", "to_thread", "default_pool" }, ["pools.process_pool"] = { "process_pool" },
  ["pools.pool"] = { "pool" }, ["supervision.supervisor"] = { "supervisor" },
  ["debug.dump"] = { "dump" }, ["debug.trace"] = { "trace" },
  ["debug.deadlocks"] = { "deadlocks" },
  ["telemetry.metrics"] = { "metrics" },
  telemetry = { "telemetry", "span" }, cluster = { "cluster" },
  progress = { "progress" }, experiments = { "experiment" }, advice = { "advise" },
}

-- name -> the part that is its table: braid.http
local parts = {
  http = "http", web = "web", kernels = "kernels", json = "json", process = "io.process", net = "io.net",
  redis = "redis", postgres = "postgres", sqlite = "sqlite",
  file = "file",
  websocket = "websocket",
  testing = "testing",
}

local home = {}
for part, names in pairs(places) do
  for _, name in ipairs(names) do home[name] = part end
end
for name, part in pairs(parts) do home[name] = part end
home.null = "core"

---@class braid
---@field null lightuserdata stands for "nothing", equal to itself in every state and process, and to `cjson.null`
local braid = { _VERSION = "braid 0.2.0" }

local function load(name)
  search.load "braid.errors"
  require "braid.tasks.future"
  require "braid.tasks.task"
  local module = search.part("braid." .. home[name])
  if parts[name] then return require("braid.missing").watch(module, "braid." .. name) end
  return module[name]
end

-- A part whose library is not there has no value, and no name here.
local function next_name(self, name)
  local value
  repeat
    name = next(home, name)
    local ok, found = pcall(function() return name and self[name] end)
    value = ok and found
  until not name or value
  return name, value or nil
end

return setmetatable(braid, {
  __name = "braid",
  __index = function(self, name)
    local value
    if name == "null" then
      value = require("braid.core").null
    elseif home[name] then
      value = load(name)
    else
      return (require("braid.missing").name("braid.", name, home)) -- no tail call: it looks at who called this
    end
    rawset(self, name, value)
    return value
  end,
  __pairs = function(self) return next_name, self, nil end,
})
