-- SPDX-License-Identifier: MIT
-- Counts an application's requests, and writes the counts of all workers as Prometheus reads them.
local families = require "braid.telemetry.families"
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
  if status == 101 then return end -- how long a WebSocket lives is no time of an answer
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
---@alias braid.web.Snapshot braid.telemetry.Family[]

local function sorted_keys(list)
  local keys = {}
  for key in pairs(list) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function requests_of(meter)
  local points = {}
  for i, key in ipairs(sorted_keys(meter.requests)) do
    local method, status, route = key:match "^(%a+) (%d+) (.*)$"
    points[i] = { labels = { method = method, route = route, status = status }, value = meter.requests[key] }
  end
  return points
end

local function times_of(meter)
  local points = {}
  for i, key in ipairs(sorted_keys(meter.times)) do
    local method, route = key:match "^(%a+) (.*)$"
    local times = meter.times[key]
    points[i] = {
      labels = { method = method, route = route }, counts = table.move(times, 1, #times, 1, {}), sum = times.sum,
      count = times.count,
    }
  end
  return points
end

--- The numbers of this process.
---@param meter braid.web.Meter
---@param web table<string, number>? of the server
---@return braid.web.Snapshot
function M.snapshot(meter, web)
  local list = {}
  local function tell(kind, name, help, points, unit)
    if type(points) ~= "table" then points = { { labels = {}, value = points or 0 } } end
    list[#list + 1] = { kind = kind, name = name, help = help, points = points, unit = unit }
  end
  web = web or {}
  tell("counter", "braid.web.requests", "Requests that were answered.", requests_of(meter))
  tell("histogram", "braid.web.request", "Seconds from the head of a request to the end of its answer.",
    times_of(meter), "s")
  list[#list].bounds = BOUNDS
  tell("gauge", "braid.web.requests_in_flight", "Requests that are arriving, or not answered completely.", web.requests)
  tell("gauge", "braid.web.connections", "Open connections, with WebSockets.", web.connections)
  tell("gauge", "braid.web.websockets", "Open WebSockets.", web.websockets)
  tell("counter", "braid.web.accepted", "Connections that were accepted.", web.accepted)
  tell("gauge", "braid.web.workers", "Processes that serve.", 1)
  return table.move(metrics.families(), 1, 1000, #list + 1, list)
end

--- What stays of a worker that has ended: its counts.
---@param snapshot braid.web.Snapshot
---@return braid.web.Snapshot
function M.remains(snapshot)
  local counts = {}
  for _, family in ipairs(snapshot) do
    if family.kind ~= "gauge" then counts[#counts + 1] = family end
  end
  return counts
end

M.sum = families.sum

--- The text for Prometheus.
---@param sum braid.web.Snapshot
---@return string
function M.text(sum) return families.prometheus(sum) end

return M
