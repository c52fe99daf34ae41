-- SPDX-License-Identifier: MIT
--- braid: the face. Names only: each part is loaded when it is first touched. Nothing is started.

if _VERSION ~= "Lua 5.4" then
  error("braid needs Lua 5.4, and this is " .. _VERSION .. ": run the script with a Lua 5.4 interpreter (lua5.4)", 0)
end

-- name -> the part that defines it
local places = {
  errors = { "is_error", "on_unhandled" },
  scope = { "scope", "timeout", "move_on_after", "shield" },
  task = { "run", "spawn", "sleep", "checkpoint", "now", "current", "tasks", "locals", "wrap" },
  gather = { "gather", "map", "race", "as_completed", "wait", "select" },
  queue = { "queue" },
  sync = { "lock", "semaphore", "event", "condition", "barrier", "counter" },
  array = { "array" }, dict = { "dict" },
  descriptor = { "wait_fd" },
  executor = { "cpu_count" }, inline = { "inline_pool" }, task_pool = { "task_pool" },
  thread_pool = { "thread_pool", "to_thread" }, process_pool = { "process_pool" }, pool = { "pool" },
  sight = { "dump" }, trace = { "trace" },
  progress = { "progress" }, experiment = { "experiment" }, advise = { "advise" },
}

-- parts that are tables of their own: braid.http.get
local parts = { "http", "web", "process", "net", "kernels", "json" }

local home = {}
for part, names in pairs(places) do
  for _, name in ipairs(names) do home[name] = part end
end
for _, part in ipairs(parts) do home[part] = part end

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
    require "braid.future"
    require "braid.task"
    local module = require("braid." .. part)
    local value = module
    if places[part] then value = module[name] end
    rawset(self, name, value)
    return value
  end,
})
