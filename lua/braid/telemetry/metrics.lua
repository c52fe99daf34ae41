-- SPDX-License-Identifier: MIT
--- Numbers of this state: its tasks, its loop, its queues and pools, its HTTP client, its web servers, and the process.

local core = require "braid.core"
local errors = require "braid.errors"
local families = require "braid.telemetry.families"

local M = {}

---@class braid.Metrics
---@field tasks { pending: integer, running: integer } of this state
---@field jobs { queued: integer, running: integer, done: integer, failed: integer, cancelled: integer } of all pools
---@field loop { idle: number, lag: number } seconds: that the loop has slept, in all; the longest time for which it was
--- held since the metrics were asked for before, so that nothing else could go on
---@field queues { open: integer, items: integer } queues of this state, and what is in them
---@field process { cpu: number, memory: integer, lua_memory: integer, descriptors: integer, seconds: number }
--- processor time of all its threads in seconds; resident bytes and open descriptors (0: the system does not say);
--- bytes of this Lua state; seconds since the start of the process
---@field pools { kind: string, name: string, workers: integer, queued: integer, running: integer, done: integer,
--- failed: integer, cancelled: integer }[] pools of one kind and name are one; name: "" if they have none
---@field http { sessions: integer, open: integer, idle: integer, waiting: integer, requests: integer, reused: integer }
--- of the sessions that are in use; `requests` and `reused` of closed ones, too; see braid.http.Stats
---@field web { servers: integer, accepted: integer, connections: integer, requests: integer } of all servers that run:
--- connections so far; open connections and unanswered requests now

local POOL = { "workers", "queued", "running", "done", "failed", "cancelled" }
local SESSION = { "open", "idle", "waiting", "requests", "reused" }
local SERVER = { "accepted", "connections", "requests" }

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a" or ""
end

local function resident() return math.tointeger(read("/proc/self/status"):match "VmRSS:%s*(%d+) kB" or 0) * 1024 end

local TICKS = 100 -- of the system's clock in a second

-- Seconds since the process has begun. Where the system does not say, its processor time: it is not younger.
local function age()
  local began = read("/proc/self/stat"):match("^.*%)" .. (" %S+"):rep(19) .. " (%d+)")
  local now = read("/proc/uptime"):match "^%S+"
  return began and now and math.max(0, now - began / TICKS) or os.clock()
end

-- What a module keeps of its living objects, or has counted of ended ones; nothing where it was not loaded.
local function living(module) return (package.loaded[module] or {}).living or {} end
local function ended(module) return (package.loaded[module] or {}).ended or {} end

local function zeros(keys, sum)
  for _, key in ipairs(keys) do sum[key] = 0 end
  return sum
end

local function add(sum, keys, stats)
  for _, key in ipairs(keys) do sum[key] = sum[key] + (stats[key] or 0) end
end

local function pools()
  local list, by_name = {}, {}
  for pool in pairs(living "braid.pools.executor") do
    local known, stats = pcall(pool.stats, pool)
    local kind, name = getmetatable(pool).__name:gsub("^braid%.", ""), pool._name or ""
    local sum = by_name[kind .. "\0" .. name]
    if known and not sum then
      sum = zeros(POOL, { kind = kind, name = name })
      by_name[kind .. "\0" .. name], list[#list + 1] = sum, sum
    end
    if known then add(sum, POOL, stats) end
  end
  table.sort(list, function(a, b) return a.kind .. "\0" .. a.name < b.kind .. "\0" .. b.name end)
  return list
end

-- The sum of the objects' stats, and how many there are.
local function sum_of(module, counted, keys)
  local sum = zeros(keys, { [counted] = 0 })
  for object in pairs(living(module)) do
    sum[counted] = sum[counted] + 1
    add(sum, keys, object:stats())
  end
  add(sum, keys, ended(module))
  return sum
end

local function queues()
  local sum = { open = 0, items = 0 }
  for queue in pairs(living "braid.sync.queue") do
    local known, size = pcall(queue.size, queue) -- one that is being collected is not known any more
    if known then
      sum.open = sum.open + (queue:closed() and 0 or 1)
      sum.items = sum.items + size
    end
  end
  return sum
end

local function process()
  local descriptors = core.proc_names "/proc/self/fd" or {}
  return {
    cpu = os.clock(), memory = resident(), lua_memory = math.floor(collectgarbage("count") * 1024),
    descriptors = #descriptors, seconds = age(),
  }
end

local function collect()
  local pending, running = core.task_counts()
  local all = {
    tasks = { pending = pending, running = running }, loop = { idle = core.idle_time(), lag = core.longest_turn() },
    jobs = zeros(POOL, {}), pools = pools(), queues = queues(), process = process(),
    http = sum_of("braid.http.session", "sessions", SESSION), web = sum_of("braid.web.server", "servers", SERVER),
  }
  for _, pool in ipairs(all.pools) do add(all.jobs, POOL, pool) end
  all.jobs.workers = nil
  return all
end

-- ---- families -------------------------------------------------------------------------------------------------------

-- The points of a record: one for each of the keys, which are the values of the label; without a label only one.
local function points_of(record, keys, label, others)
  local points = {}
  for i, key in ipairs(keys) do
    local labels = { [label or false] = label and key }
    labels[false] = nil
    for name, value in pairs(others or {}) do labels[name] = value end
    points[i] = { labels = labels, value = record[key] }
  end
  return points
end

local function points_of_pools(list, keys, label)
  local points = {}
  for _, pool in ipairs(list) do
    local own = points_of(pool, keys, label, { kind = pool.kind, pool = pool.name })
    table.move(own, 1, #own, #points + 1, points)
  end
  return points
end

---The families of what braid.metrics() has told, without its part `web`: see app:metrics.
---@param all braid.Metrics
---@return braid.telemetry.Family[]
function M.families_of(all)
  local list = {}
  local function tell(kind, name, unit, help, points, greatest)
    list[#list + 1] = { name = name, kind = kind, unit = unit, help = help, points = points, greatest = greatest }
  end
  tell("gauge", "braid.tasks", nil, "Tasks.", points_of(all.tasks, { "pending", "running" }, "state"))
  tell("gauge", "braid.loop.lag", "s", "The longest time for which a loop was held since it was last asked.",
    points_of(all.loop, { "lag" }), true)
  tell("counter", "braid.loop.idle", "s", "Time that loops have slept.", points_of(all.loop, { "idle" }))
  tell("gauge", "braid.queues", nil, "Open queues.", points_of(all.queues, { "open" }))
  tell("gauge", "braid.queue.items", nil, "Items in queues.", points_of(all.queues, { "items" }))
  tell("gauge", "braid.pool.workers", nil, "Workers of pools.", points_of_pools(all.pools, { "workers" }))
  tell("gauge", "braid.pool.jobs", nil, "Unfinished jobs.",
    points_of_pools(all.pools, { "queued", "running" }, "state"))
  tell("counter", "braid.pool.jobs.ended", nil, "Jobs that have ended.",
    points_of_pools(all.pools, { "done", "failed", "cancelled" }, "outcome"))
  tell("gauge", "braid.http.connections", nil, "Connections of the HTTP client.",
    points_of(all.http, { "open", "idle" }, "state"))
  tell("gauge", "braid.http.waiting", nil, "Requests without a connection.", points_of(all.http, { "waiting" }))
  tell("counter", "braid.http.requests", nil, "Requests of the HTTP client.", points_of(all.http, { "requests" }))
  tell("counter", "braid.http.reused", nil, "Requests on a kept connection.", points_of(all.http, { "reused" }))
  tell("gauge", "braid.lua.memory", "By", "Memory of Lua states.", points_of(all.process, { "lua_memory" }))
  tell("counter", "process.cpu", "s", "Processor time.", points_of(all.process, { "cpu" }))
  tell("gauge", "process.resident_memory", "By", "Resident memory.", points_of(all.process, { "memory" }))
  tell("gauge", "process.open_fds", nil, "Open descriptors.", points_of(all.process, { "descriptors" }))
  return list
end

local sources = {} -- functions of other parts, which return families of their own

---Adds families of another part to those of this state: `fn` is called whenever they are asked for, and returns a list.
---@param fn fun(): braid.telemetry.Family[]
function M.add_source(fn) sources[#sources + 1] = fn end

---Takes a function back that was given to add_source.
---@param fn fun(): braid.telemetry.Family[]
function M.remove_source(fn)
  for i = #sources, 1, -1 do
    if sources[i] == fn then table.remove(sources, i) end
  end
end

---The numbers of this state as families, with those of all sources. They can be sent to other processes, added up
---(`families.sum`), and told as text. Does not suspend.
---@return braid.telemetry.Family[]
function M.families()
  local list = M.families_of(collect())
  for _, source in ipairs(sources) do
    local more = source()
    table.move(more, 1, #more, #list + 1, list)
  end
  return list
end

local FORMS = {
  prometheus = function() return families.prometheus(M.families()) end,
  opentelemetry = function()
    return families.opentelemetry(M.families(), nil, core.wall_time() - age())
  end,
}

---The numbers of this state at the moment. Does not suspend.
---@param form "prometheus"|"opentelemetry"|nil "prometheus": as text in Prometheus's format; "opentelemetry": as JSON
--- of OTLP. nil: as a table
---@return braid.Metrics|string
function M.metrics(form)
  if form == nil then return collect() end
  if FORMS[form] then return FORMS[form]() end
  errors.misuse(1, "bad argument 'form' to 'metrics' (\"prometheus\", \"opentelemetry\" or nil expected, got %s)",
    type(form) == "string" and ("%q"):format(form) or errors.described(form))
end

return M
