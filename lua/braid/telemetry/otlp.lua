-- SPDX-License-Identifier: MIT
-- The messages of OpenTelemetry's protocol, as JSON (OTLP/HTTP).
local json = require "braid.json"

local M = {}

local function value_of(value)
  if type(value) == "boolean" then return { boolValue = value } end
  if math.type(value) == "integer" then return { intValue = tostring(value) } end
  if type(value) == "number" then return { doubleValue = value } end
  return { stringValue = value }
end

---@param map table<string, string|number|boolean>
---@return table[] a list, sorted by the names
function M.attributes(map)
  local names, list = {}, {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = { key = name, value = value_of(map[name]) } end
  return json.array(list)
end

---@param seconds number since 1970
---@return string nanoseconds
function M.nanoseconds(seconds)
  local whole = math.floor(seconds)
  return ("%d%09d"):format(whole, math.floor((seconds - whole) * 1e9))
end

---A message: what one service tells.
---@param kind "Spans"|"Metrics"
---@param service string?
---@param texts string[] the spans or metrics, as JSON
---@return string
function M.message(kind, service, texts)
  local resource = M.attributes {
    ["service.name"] = service, ["telemetry.sdk.name"] = "braid", ["telemetry.sdk.language"] = "lua",
  }
  return ('{"resource%s":[{"resource":{"attributes":%s},"scope%s":[{"scope":{"name":"braid"},"%s":[%s]}]}]}'):format(
    kind, json.encode(resource), kind, kind:lower(), table.concat(texts, ","))
end

local KINDS = { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 }

local function links_of(links)
  local list = {}
  for i, link in ipairs(links) do list[i] = { traceId = link.trace, spanId = link.span, traceState = link.state } end
  return json.array(list)
end

---A span that has ended.
---@class braid.telemetry.Span
---@field context braid.telemetry.Context
---@field parent string?
---@field name string
---@field kind "internal"|"server"|"client"
---@field attributes table<string, string|number|boolean>
---@field start number seconds since 1970
---@field finish number
---@field failed string? why; "": the attributes say it

---@param span braid.telemetry.Span
---@return string
function M.span(span)
  local context, failed = span.context, span.failed
  return json.encode({
    traceId = context.trace, spanId = context.span, parentSpanId = span.parent, traceState = context.state,
    name = span.name, kind = KINDS[span.kind], startTimeUnixNano = M.nanoseconds(span.start),
    endTimeUnixNano = M.nanoseconds(math.max(span.finish, span.start)), attributes = M.attributes(span.attributes),
    links = context.links and links_of(context.links),
    status = failed and { code = 2, message = failed ~= "" and failed or nil } or { code = 0 },
  }, { invalid = "replace" })
end

return M
