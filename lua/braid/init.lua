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

---@class braid
local braid = { _VERSION = "braid 0.1" }

return setmetatable(braid, {
  __index = function(self, name)
    if name == "null" then
      rawset(self, name, require("braid.core").null)
      return rawget(self, name)
    end
    local part = home[name]
    if not part then return nil end
    search.load "braid.errors"
    require "braid.tasks.future"
    require "braid.tasks.task"
    local module = require("braid." .. part)
    local value = module
    if places[part] then value = module[name] end
    rawset(self, name, value)
    return value
  end,
})
