-- SPDX-License-Identifier: MIT
--- Spans: which work belongs to which request, and how long each part takes. They are sent to a collector as
--- OpenTelemetry defines it (OTLP over HTTP, JSON). The context of a span goes along with the tasks that are spawned in
--- it, and with HTTP requests (the header traceparent).

local core = require "braid.core"
local errors = require "braid.errors"
local exchange = require "braid.http.exchange"
local exporter = require "braid.telemetry.exporter"
local request = require "braid.http.request"

local M = {}

local KEY = exporter.KEY -- of the context in the task-local values

---The context of a span.
---@class braid.telemetry.Context
---@field trace string 32 hexadecimal digits
---@field span string 16 hexadecimal digits
---@field sampled boolean

local current -- the exporter; nil: spans only have their contexts

local function random_hex(digits)
  local text = ""
  while #text < digits do text = text .. ("%016x"):format(math.random(0)) end
  text = text:sub(1, digits)
  return text:find("[^0]") and text or random_hex(digits)
end

local function new_context(parent)
  if parent then return { trace = parent.trace, span = random_hex(16), sampled = parent.sampled } end
  return {
    trace = random_hex(32), span = random_hex(16), sampled = current ~= nil and math.random() < current.sample,
  }
end

-- Hands the span to the exporter. `root`: nothing is above it in this process.
local function finish(span, context, root)
  span.finish = core.wall_time()
  if current and context.sampled then current:add(span, root) end
end

-- Runs fn as a span; `describe` adds to it what fn's results say. What fn raises is noted in the span, and raised.
local function run(name, kind, attributes, describe, fn, ...)
  local locals = core.locals()
  local parent = locals[KEY]
  local context = new_context(parent)
  local span = {
    trace = context.trace, id = context.span, parent = parent and parent.span, name = name, kind = kind,
    attributes = attributes, start = core.wall_time(),
  }
  local function close(ok, ...)
    core.locals()[KEY] = parent
    if ok then
      if describe then describe(span, ...) end
    else
      span.failed = errors.text((...))
    end
    finish(span, context, not parent)
    if ok then return ... end
    core.rethrow(...)
  end
  locals[KEY] = context
  return close(errors.try(fn, context, ...))
end

local SIMPLE = { string = true, number = true, boolean = true }

local function without_context(fn) return function(_, ...) return fn(...) end end

---Runs fn as a span of the current trace, or as the first one of a new trace. What fn raises is noted in it, and
---raised.
---@param name string
---@param attributes table<string, string|number|boolean>?
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returns
function M.span(name, attributes, fn, ...)
  if type(name) ~= "string" then
    errors.misuse(1, "bad argument 'name' to 'span' (a string expected, got %s)", errors.described(name))
  end
  if attributes ~= nil and type(attributes) ~= "table" then
    errors.misuse(1, "bad argument 'attributes' to 'span' (a table or nil expected, got %s)",
      errors.described(attributes))
  end
  errors.check_function(1, "span", "fn", fn)
  local kept = {}
  for key, value in pairs(attributes or {}) do
    if type(key) ~= "string" or not SIMPLE[type(value)] then
      errors.misuse(1, "bad argument 'attributes' to 'span' (names with strings, numbers or booleans expected)")
    end
    kept[key] = value
  end
  return run(name, "internal", kept, nil, without_context(fn), ...)
end

-- ---- HTTP requests --------------------------------------------------------------------------------------------------

local function describe_response(span, response, err)
  if response then
    span.attributes["http.response.status_code"] = response.status
    if response.status >= 400 then span.failed = "" end
  else
    span.attributes["error.type"] = err.code or err.kind
    span.failed = err.message
  end
end

-- Performs a request of the client as a span, where there is one above it.
local function traced(perform, handle, method, url, record)
  if not core.locals()[KEY] or record.fields.traceparent then return perform(handle, method, url, record) end
  local attributes = { ["http.request.method"] = method, ["url.full"] = url }
  return run(method, "client", attributes, describe_response, function(context)
    local header = ("00-%s-%s-%s"):format(context.trace, context.span, context.sampled and "01" or "00")
    return perform(handle, method, url, request.with_headers(record, { traceparent = header }))
  end)
end

exchange.traced = traced

---Runs fn within the trace that a traceparent header tells of. For servers; what is not understood begins no trace.
---@param header string?
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returns
function M.continue(header, fn, ...)
  local version, trace, span, flags = (header or ""):match("^(%x%x)%-(%x+)%-(%x+)%-(%x%x)")
  if version == nil or version == "ff" or #trace ~= 32 or #span ~= 16 or not trace:find("[^0]") or
    not span:find("[^0]") or header:find("%u") then
    return fn(...)
  end
  local locals = core.locals()
  local before = locals[KEY]
  locals[KEY] = { trace = trace, span = span, sampled = tonumber(flags, 16) % 2 == 1 }
  local function close(ok, ...)
    core.locals()[KEY] = before
    if ok then return ... end
    core.rethrow(...)
  end
  return close(errors.try(fn, ...))
end

---@class braid.telemetry.Options
---@field endpoint string URL of the collector; /v1/traces is appended
---@field service string the service's name
---@field sample number? the part of the traces that are sent, 0 to 1; default 1. What a caller's header says goes first
---@field headers table<string, string>? of the requests to the collector

---Sends the spans of this state to a collector, in the background: when the first span of a trace ends, and when many
---have come. A collector that cannot be reached is reported once on stderr; it fails nobody.
---@param opts braid.telemetry.Options
---@return braid.telemetry.Exporter exporter its `<close>` sends what is left, and ends it
function M.telemetry(opts)
  if current then current:close() end
  current = exporter.new(opts, function(closed)
    if current == closed then current = nil end
  end)
  return current
end

return M
