-- SPDX-License-Identifier: MIT
-- Counts an application's requests, and writes the counts of all workers as Prometheus reads them.
local families = require "braid.telemetry.families"
local metrics = require "braid.telemetry.metrics"

local M = {}

local BOUNDS = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 } -- seconds
local METHODS = {}
for method in ("GET HEAD POST PUT PATCH DELETE OPTIONS"):gmatch "%u+" do METHODS[method] = method end

---@class braid.web.Record
---@field statuses table<integer, integer> how many answers had each
---@field sum number seconds of all
---@field [integer] integer how many took that long, by bound

---@class braid.web.Meter
---@field records table<string, table<string, braid.web.Record>> by route, then by method
local Meter = { __name = "braid.meter" }
Meter.__index = Meter
M.Meter = Meter -- what is sent to another process finds its metatable by this name

---@return braid.web.Meter
function M.new() return setmetatable({ records = {} }, Meter) end

local function new_record(meter, method, route)
  local methods = meter.records[route] or {}
  local record = { statuses = {}, sum = 0 }
  for i = 1, #BOUNDS + 1 do record[i] = 0 end
  meter.records[route], methods[method] = methods, record
  return record
end

local function bound_of(seconds)
  for i = 1, #BOUNDS do
    if seconds <= BOUNDS[i] then return i end
  end
  return #BOUNDS + 1
end

--- Counts a request. It is called for each: it makes no strings, and no table but for the first of its kind.
---@param method string
---@param route string? its pattern; nil or "": it has none
---@param status integer
---@param seconds number
function Meter:count(method, route, status, seconds)
  method, route = METHODS[method] or "other", route or ""
  local methods = self.records[route]
  local record = methods and methods[method] or new_record(self, method, route)
  local statuses = record.statuses
  statuses[status] = (statuses[status] or 0) + 1
  if status == 101 then return end -- how long a WebSocket lives is no time of an answer
  local bound = seconds <= BOUNDS[1] and 1 or bound_of(seconds) -- most are that fast
  record[bound] = record[bound] + 1
  record.sum = record.sum + seconds
end

---What a worker knows: the meter's counts, what its server says, and its state's metrics.
---@alias braid.web.Snapshot braid.telemetry.Family[]

local function is_before(a, b)
  a, b = a.labels, b.labels
  if a.method ~= b.method then return a.method < b.method end
  if a.status ~= b.status then return a.status < b.status end -- nil: times, which are of all
  return a.route < b.route
end

-- Calls add(points, method, route, record) for each record. Returns the points in their order.
local function points_of(meter, add)
  local points = {}
  for route, methods in pairs(meter.records) do
    for method, record in pairs(methods) do add(points, method, route, record) end
  end
  table.sort(points, is_before)
  return points
end

local function add_requests(points, method, route, record)
  for status, count in pairs(record.statuses) do
    points[#points + 1] = { labels = { method = method, route = route, status = tostring(status) }, value = count }
  end
end

local function add_times(points, method, route, record)
  local counts, count = table.move(record, 1, #BOUNDS + 1, 1, {}), 0
  for _, some in ipairs(counts) do count = count + some end
  if count == 0 then return end -- only WebSockets
  local labels = { method = method, route = route }
  points[#points + 1] = { labels = labels, counts = counts, sum = record.sum, count = count }
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
  tell("counter", "braid.web.requests", "Requests that were answered.", points_of(meter, add_requests))
  tell("histogram", "braid.web.request", "Seconds from the head of a request to the end of its answer.",
    points_of(meter, add_times), "s")
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
