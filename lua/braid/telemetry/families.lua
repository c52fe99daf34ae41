-- SPDX-License-Identifier: MIT
-- Families of metrics: how they are added up over several processes, and their text forms. A family is plain data, so
-- it can be sent from a worker.
local core = require "braid.core"
local json = require "braid.json"
local otlp = require "braid.telemetry.otlp"

local M = {}

---A metric with all its values.
---@class braid.telemetry.Family
---@field name string in OpenTelemetry's form: "braid.pool.jobs"
---@field kind "counter"|"gauge"|"histogram"
---@field help string one sentence
---@field unit "s"|"By"|nil seconds or bytes
---@field greatest boolean? the sum over several processes is the greatest value, as of a lag
---@field bounds number[]? of a histogram: the upper bounds of its buckets; above the last one there is another bucket
---@field points braid.telemetry.Point[]

---One value of a family. The values of a histogram have `counts`, `sum` and `count`, others `value`.
---@class braid.telemetry.Point
---@field labels table<string, string>
---@field value number?
---@field counts integer[]? of each bucket
---@field sum number? of all values
---@field count integer? of all values

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- ---- several processes ----------------------------------------------------------------------------------------------

local function key_of(labels)
  local parts = {}
  for _, name in ipairs(sorted_names(labels)) do parts[#parts + 1] = name .. "\0" .. labels[name] end
  return table.concat(parts, "\0")
end

local function copy_of(point)
  local copy = {}
  for key, value in pairs(point) do copy[key] = value end
  copy.counts = point.counts and table.move(point.counts, 1, #point.counts, 1, {})
  return copy
end

local function add_point(family, into, point)
  if point.counts then
    for i, count in ipairs(point.counts) do into.counts[i] = into.counts[i] + count end
    into.sum, into.count = into.sum + point.sum, into.count + point.count
  elseif family.greatest then
    into.value = math.max(into.value, point.value)
  else
    into.value = into.value + point.value
  end
end

local function add_family(sums, family)
  local sum = sums[family.name]
  if not sum then
    sum = { by_key = {} }
    for key, value in pairs(family) do sum[key] = value end
    sum.points = {}
    sums[family.name], sums[#sums + 1] = sum, sum
  end
  for _, point in ipairs(family.points) do
    local key = key_of(point.labels)
    local into = sum.by_key[key]
    if into then
      add_point(family, into, point)
    else
      into = copy_of(point)
      sum.by_key[key], sum.points[#sum.points + 1] = into, into
    end
  end
end

---Adds up the families of several processes: values with the same labels become one.
---@param lists braid.telemetry.Family[][]
---@return braid.telemetry.Family[]
function M.sum(lists)
  local sums, result = {}, {}
  for _, list in ipairs(lists) do
    for _, family in ipairs(list) do add_family(sums, family) end
  end
  for i, family in ipairs(sums) do
    family.by_key = nil
    result[i] = family
  end
  return result
end

-- ---- Prometheus -----------------------------------------------------------------------------------------------------

local UNITS = { s = "_seconds", By = "_bytes" }
local ESCAPES = { ["\\"] = "\\\\", ["\""] = "\\\"", ["\n"] = "\\n" }

local function number_text(number)
  if math.type(number) == "integer" then return ("%d"):format(number) end
  if number ~= number then return "NaN" end
  if number == math.huge then return "+Inf" end
  if number == -math.huge then return "-Inf" end
  local short = ("%.14g"):format(number)
  return tonumber(short) == number and short or ("%.17g"):format(number)
end

local function labels_text(labels, bound)
  local parts = {}
  for i, name in ipairs(sorted_names(labels)) do
    parts[i] = ('%s="%s"'):format(name, tostring(labels[name]):gsub('[\\"\n]', ESCAPES))
  end
  if bound then parts[#parts + 1] = ('le="%s"'):format(bound) end
  return parts[1] and "{" .. table.concat(parts, ",") .. "}" or ""
end

local function add_line(lines, name, labels, number)
  lines[#lines + 1] = ("%s%s %s"):format(name, labels, number_text(number))
end

local function add_histogram(lines, name, family, point)
  local below = 0
  for i, count in ipairs(point.counts) do
    below = below + count
    local bound = family.bounds[i]
    add_line(lines, name .. "_bucket", labels_text(point.labels, bound and number_text(bound) or "+Inf"), below)
  end
  add_line(lines, name .. "_sum", labels_text(point.labels), point.sum)
  add_line(lines, name .. "_count", labels_text(point.labels), point.count)
end

---The text that Prometheus reads (its content type is "text/plain; version=0.0.4").
---@param families braid.telemetry.Family[]
---@return string
function M.prometheus(families)
  local lines = {}
  for _, family in ipairs(families) do
    local name = family.name:gsub("%W", "_") .. (UNITS[family.unit] or "")
    if family.kind == "counter" then name = name .. "_total" end
    lines[#lines + 1] = ("# HELP %s %s\n# TYPE %s %s"):format(name, family.help:gsub("[\\\n]", ESCAPES), name,
      family.kind)
    for _, point in ipairs(family.points) do
      if point.counts then
        add_histogram(lines, name, family, point)
      else
        add_line(lines, name, labels_text(point.labels), point.value)
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- OpenTelemetry --------------------------------------------------------------------------------------------------

local CUMULATIVE = 2

local function data_point(point, family, start, now)
  local data = {
    attributes = otlp.attributes(point.labels), timeUnixNano = now,
    startTimeUnixNano = family.kind ~= "gauge" and start or nil,
  }
  if point.counts then
    local counts = {}
    for i, count in ipairs(point.counts) do counts[i] = tostring(count) end
    data.count, data.sum, data.bucketCounts = tostring(point.count), point.sum, json.array(counts)
    data.explicitBounds = json.array(table.move(family.bounds, 1, #family.bounds, 1, {}))
  elseif math.type(point.value) == "integer" then
    data.asInt = tostring(point.value)
  else
    data.asDouble = point.value
  end
  return data
end

local function metric_of(family, start, now)
  local points = {}
  for i, point in ipairs(family.points) do points[i] = data_point(point, family, start, now) end
  local data = { dataPoints = json.array(points) }
  if family.kind ~= "gauge" then data.aggregationTemporality = CUMULATIVE end
  if family.kind == "counter" then data.isMonotonic = true end
  return {
    name = family.name, description = family.help, unit = family.unit or "1",
    [family.kind == "counter" and "sum" or family.kind] = data,
  }
end

---The JSON that OpenTelemetry's protocol has for metrics (ExportMetricsServiceRequest).
---@param families braid.telemetry.Family[]
---@param service string?
---@param since number when the counters began, in seconds since 1970
---@return string
function M.opentelemetry(families, service, since)
  local start, now, list = otlp.nanoseconds(since), otlp.nanoseconds(core.wall_time()), {}
  for i, family in ipairs(families) do list[i] = json.encode(metric_of(family, start, now)) end
  return otlp.message("Metrics", service, list)
end

return M
