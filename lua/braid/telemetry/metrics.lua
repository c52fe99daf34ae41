-- SPDX-License-Identifier: MIT
--- Numbers of this state: its tasks, its loop, its pools, its HTTP client, and the process.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---@class braid.Metrics
---@field tasks { pending: integer, running: integer } of this state
---@field loop { idle: number } seconds that it has slept
---@field process { cpu: number, memory: integer, lua_memory: integer } seconds of all its threads; resident bytes (0:
--- the system does not say); bytes of this Lua state
---@field pools { kind: string, name: string, workers: integer, queued: integer, running: integer, done: integer,
--- failed: integer, cancelled: integer }[] pools of one kind and name are one; name: "" if they have none
---@field http { sessions: integer, open: integer, idle: integer, waiting: integer, requests: integer, reused: integer }
--- of all sessions that are in use; see braid.http.Stats

local POOL = { "workers", "queued", "running", "done", "failed", "cancelled" }
local SESSION = { "open", "idle", "waiting", "requests", "reused" }

local function tasks()
  local counts = { pending = 0, running = 0 }
  for _, task in ipairs(core.tasks()) do
    local state = task:state()
    if counts[state] then counts[state] = counts[state] + 1 end
  end
  return counts
end

local function resident()
  local file <close> = io.open("/proc/self/status")
  return file and math.tointeger(file:read("a"):match("VmRSS:%s*(%d+) kB") or 0) * 1024 or 0
end

-- What a module keeps of its living objects; nothing where it was not loaded.
local function living(module)
  local loaded = package.loaded[module]
  return loaded and loaded.living or {}
end

local function pools()
  local list, by_name = {}, {}
  for pool in pairs(living "braid.pools.executor") do
    local known, stats = pcall(pool.stats, pool)
    local kind, name = getmetatable(pool).__name:gsub("^braid%.", ""), pool._name or ""
    local sum = by_name[kind .. "\0" .. name]
    if known and not sum then
      sum = { kind = kind, name = name }
      for _, key in ipairs(POOL) do sum[key] = 0 end
      by_name[kind .. "\0" .. name], list[#list + 1] = sum, sum
    end
    for _, key in ipairs(known and POOL or {}) do sum[key] = sum[key] + (stats[key] or 0) end
  end
  table.sort(list, function(a, b) return a.kind .. "\0" .. a.name < b.kind .. "\0" .. b.name end)
  return list
end

local function http()
  local sum = { sessions = 0 }
  for _, key in ipairs(SESSION) do sum[key] = 0 end
  for session in pairs(living "braid.http.session") do
    local stats = session:stats()
    sum.sessions = sum.sessions + 1
    for _, key in ipairs(SESSION) do sum[key] = sum[key] + stats[key] end
  end
  return sum
end

local function collect()
  return {
    tasks = tasks(), loop = { idle = core.idle_time() }, pools = pools(), http = http(),
    process = { cpu = os.clock(), memory = resident(), lua_memory = math.floor(collectgarbage("count") * 1024) },
  }
end

-- ---- Prometheus -----------------------------------------------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ["\""] = "\\\"", ["\n"] = "\\n" }

---@param text string
---@return string
function M.escape(text) return (text:gsub('[\\"\n]', ESCAPES)) end

---Adds a metric in Prometheus's format.
---@param lines string[]
---@param name string
---@param kind string
---@param help string
---@param rows table[] labels (name, value, ...) and at the end the number
function M.add(lines, name, kind, help, rows)
  lines[#lines + 1] = ("# HELP %s %s\n# TYPE %s %s"):format(name, help, name, kind)
  for _, row in ipairs(rows) do
    local labels = {}
    for i = 1, #row - 1, 2 do labels[#labels + 1] = ('%s="%s"'):format(row[i], M.escape(row[i + 1])) end
    local shown = labels[1] and "{" .. table.concat(labels, ",") .. "}" or ""
    lines[#lines + 1] = ("%s%s %s"):format(name, shown, row[#row])
  end
end

local function pool_rows(list, label, keys)
  local rows = {}
  for _, pool in ipairs(list) do
    for _, key in ipairs(keys) do
      local row = { "kind", pool.kind, "pool", pool.name, pool[key] }
      if label then table.move({ label, key, pool[key] }, 1, 3, 5, row) end
      rows[#rows + 1] = row
    end
  end
  return rows
end

---Metrics as text in Prometheus's format.
---@param all braid.Metrics
---@return string
function M.text(all)
  local lines, web = {}, all.http
  local add = M.add
  add(lines, "braid_tasks", "gauge", "Tasks of the state.",
    { { "state", "pending", all.tasks.pending }, { "state", "running", all.tasks.running } })
  add(lines, "braid_loop_idle_seconds_total", "counter", "Seconds that the loop has slept.", { { all.loop.idle } })
  add(lines, "braid_cpu_seconds_total", "counter", "Processor time of the process.", { { all.process.cpu } })
  add(lines, "braid_resident_memory_bytes", "gauge", "Resident memory of the process.", { { all.process.memory } })
  add(lines, "braid_lua_memory_bytes", "gauge", "Memory of the Lua state.", { { all.process.lua_memory } })
  add(lines, "braid_pool_workers", "gauge", "Workers of pools.", pool_rows(all.pools, nil, { "workers" }))
  add(lines, "braid_pool_jobs", "gauge", "Unfinished jobs.", pool_rows(all.pools, "state", { "queued", "running" }))
  add(lines, "braid_pool_jobs_total", "counter", "Jobs that have ended.",
    pool_rows(all.pools, "outcome", { "done", "failed", "cancelled" }))
  add(lines, "braid_http_connections", "gauge", "Connections of the HTTP client.",
    { { "state", "open", web.open }, { "state", "idle", web.idle } })
  add(lines, "braid_http_waiting", "gauge", "Requests without a connection.", { { web.waiting } })
  add(lines, "braid_http_requests_total", "counter", "Requests of the HTTP client.", { { web.requests } })
  add(lines, "braid_http_reused_total", "counter", "Requests on a kept connection.", { { web.reused } })
  return table.concat(lines, "\n") .. "\n"
end

---The numbers of this state at the moment. Does not suspend.
---@param form "prometheus"|nil "prometheus": as text in Prometheus's format
---@return braid.Metrics|string
function M.metrics(form)
  if form ~= nil and form ~= "prometheus" then
    errors.misuse(1, "bad argument 'form' to 'metrics' (\"prometheus\" or nil expected, got %s)",
      type(form) == "string" and ("%q"):format(form) or errors.described(form))
  end
  local all = collect()
  return form and M.text(all) or all
end

return M
