-- SPDX-License-Identifier: MIT
-- Counts an application's requests, and writes the counts of all workers as Prometheus reads them.
local metrics = require "braid.telemetry.metrics"

local M = {}

local BOUNDS = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 } -- seconds
local METHODS = {}
for method in ("GET HEAD POST PUT PATCH DELETE OPTIONS"):gmatch "%u+" do METHODS[method] = method end

---@class braid.web.Meter
---@field requests table<string, integer> "METHOD STATUS ROUTE" -> how many
---@field times table<string, {[integer]: integer, sum: number, count: integer}> "METHOD ROUTE" -> by bound
local Meter = { __name = "braid.meter" }
Meter.__index = Meter
M.Meter = Meter -- what is sent to another process finds its metatable by this name

---@return braid.web.Meter
function M.new() return setmetatable({ requests = {}, times = {} }, Meter) end

local function bound_of(seconds)
  for i, bound in ipairs(BOUNDS) do
    if seconds <= bound then return i end
  end
  return #BOUNDS + 1
end

--- Counts a request.
---@param method string
---@param route string? its pattern; nil or "": it has none
---@param status integer
---@param seconds number
function Meter:count(method, route, status, seconds)
  method, route = METHODS[method] or "other", route or ""
  local key = ("%s %d %s"):format(method, status, route)
  self.requests[key] = (self.requests[key] or 0) + 1
  key = method .. " " .. route
  local times = self.times[key]
  if not times then
    times = { sum = 0, count = 0 }
    for i = 1, #BOUNDS + 1 do times[i] = 0 end
    self.times[key] = times
  end
  local bound = bound_of(seconds)
  times[bound] = times[bound] + 1
  times.sum, times.count = times.sum + seconds, times.count + 1
end

---What a worker knows: the meter's counts, what its server says, and its state's metrics.
---@class braid.web.Snapshot
---@field requests table
---@field times table
---@field web table<string, number>
---@field lag number
---@field state braid.Metrics

--- The numbers of this process.
---@param meter braid.web.Meter
---@param web table<string, number>? of the server
---@param lag number? seconds
---@return braid.web.Snapshot
function M.snapshot(meter, web, lag)
  return { requests = meter.requests, times = meter.times, web = web or {}, lag = lag or 0, state = metrics.metrics() }
end

-- Adds the numbers of a table to another's, at all depths; other values are taken over.
local function add(sum, more)
  for key, value in pairs(more) do
    if type(value) == "table" then
      sum[key] = add(sum[key] or {}, value)
    elseif type(value) == "number" then
      sum[key] = (sum[key] or 0) + value
    else
      sum[key] = value
    end
  end
  return sum
end

-- Pools of one kind and name are one.
local function add_pools(sum, pools)
  local by_name = {}
  for _, pool in ipairs(sum) do by_name[pool.kind .. "\0" .. pool.name] = pool end
  for _, pool in ipairs(pools) do
    local known = by_name[pool.kind .. "\0" .. pool.name]
    if known then add(known, pool) else sum[#sum + 1] = add({}, pool) end
  end
  return sum
end

--- Adds up what several workers know. `living` of them run; of the others only what was counted matters.
---@param list braid.web.Snapshot[]
---@return braid.web.Snapshot
function M.sum(list)
  local sum = { requests = {}, times = {}, web = {}, lag = 0, state = { pools = {} } }
  for _, each in ipairs(list) do
    local pools = each.state.pools
    add(sum.requests, each.requests)
    add(sum.times, each.times)
    add(sum.web, each.web)
    sum.lag = math.max(sum.lag, each.lag)
    each.state.pools = nil
    add(sum.state, each.state)
    each.state.pools, sum.state.pools = pools, add_pools(sum.state.pools, pools)
  end
  return sum
end

--- What stays of a worker that has ended: its counts.
---@param snapshot braid.web.Snapshot
---@return braid.web.Snapshot
function M.remains(snapshot)
  local before = snapshot.state
  local state = add({}, before)
  state.tasks, state.process = { pending = 0, running = 0 }, { cpu = before.process.cpu, memory = 0, lua_memory = 0 }
  state.pools = {}
  for i, pool in ipairs(before.pools) do
    state.pools[i] = add({}, pool)
    state.pools[i].workers, state.pools[i].queued, state.pools[i].running = 0, 0, 0
  end
  state.http.sessions, state.http.open, state.http.idle, state.http.waiting = 0, 0, 0, 0
  return {
    requests = snapshot.requests, times = snapshot.times, lag = 0, state = state,
    web = { accepted = snapshot.web.accepted },
  }
end

-- ---- the text -------------------------------------------------------------------------------------------------------

local function sorted_keys(list)
  local keys = {}
  for key in pairs(list) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function request_rows(requests)
  local rows = {}
  for i, key in ipairs(sorted_keys(requests)) do
    local method, status, route = key:match "^(%a+) (%d+) (.*)$"
    rows[i] = { "method", method, "route", route, "status", status, requests[key] }
  end
  return rows
end

-- Rows of a histogram: each bound has what is below it, too.
local function add_times(lines, name, times)
  local help = "Seconds from the head of a request to the end of its answer."
  lines[#lines + 1] = ("# HELP %s %s\n# TYPE %s histogram"):format(name, help, name)
  for _, key in ipairs(sorted_keys(times)) do
    local method, route = key:match "^(%a+) (.*)$"
    local labels, each, count = ('method="%s",route="%s"'):format(method, metrics.escape(route)), times[key], 0
    for i, bound in ipairs(BOUNDS) do
      count = count + each[i]
      lines[#lines + 1] = ('%s_bucket{%s,le="%s"} %d'):format(name, labels, bound, count)
    end
    lines[#lines + 1] = ('%s_bucket{%s,le="+Inf"} %d'):format(name, labels, each.count)
    lines[#lines + 1] = ("%s_sum{%s} %.17g"):format(name, labels, each.sum)
    lines[#lines + 1] = ("%s_count{%s} %d"):format(name, labels, each.count)
  end
end

--- The text for Prometheus.
---@param sum braid.web.Snapshot
---@param workers integer
---@return string
function M.text(sum, workers)
  local lines, web = {}, sum.web
  metrics.add(lines, "braid_web_requests_total", "counter", "Requests that were answered.", request_rows(sum.requests))
  add_times(lines, "braid_web_request_seconds", sum.times)
  local function gauge(name, help, value) metrics.add(lines, name, "gauge", help, { { value or 0 } }) end
  gauge("braid_web_requests_in_flight", "Requests that are arriving, or not answered completely.", web.requests)
  gauge("braid_web_connections", "Open connections, with WebSockets.", web.connections)
  gauge("braid_web_websockets", "Open WebSockets.", web.websockets)
  metrics.add(lines, "braid_web_connections_total", "counter", "Connections that were accepted.",
    { { web.accepted or 0 } })
  gauge("braid_web_workers", "Processes that serve.", workers)
  gauge("braid_loop_lag_seconds", "How late the slowest loop was lately.", sum.lag)
  return table.concat(lines, "\n") .. "\n" .. metrics.text(sum.state)
end

return M
