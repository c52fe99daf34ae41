-- SPDX-License-Identifier: MIT
--- Spans: which work belongs to which request, and how long each part takes. They are sent to a collector as
--- OpenTelemetry defines it (OTLP over HTTP, JSON). The context of a span goes along with the tasks that are spawned in
--- it, with jobs of pools, with items of queues, and with HTTP requests of client and server (the headers traceparent
--- and tracestate).

local core = require "braid.core"
local context = require "braid.telemetry.context"
local errors = require "braid.errors"
local exchange = require "braid.http.exchange"
local exporter = require "braid.telemetry.exporter"
local otlp = require "braid.telemetry.otlp"
local request = require "braid.http.request"

local M = {}

-- ---- spans ----------------------------------------------------------------------------------------------------------

-- Runs fn(context, ...) as a span; `describe` adds to it what fn's results say. What fn raises is noted in the span,
-- and raised.
local function run(name, kind, attributes, describe, fn, ...)
  local parent = context.current()
  local own = context.new(parent)
  local span = {
    context = own, parent = parent and parent.span, name = name, kind = kind, attributes = attributes,
    start = core.wall_time(),
  }
  local function close(ok, ...)
    context.swap(parent)
    if not own.sampled then
      if ok then return ... end
      core.rethrow(...)
    end
    span.finish = core.wall_time()
    if not ok then span.failed = errors.text((...)) elseif describe then describe(span, ...) end
    context.give(otlp.span(span))
    if ok then return ... end
    core.rethrow(...)
  end
  context.swap(own)
  return close(errors.try(fn, own, ...))
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

-- ---- requests of the client -----------------------------------------------------------------------------------------

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
  if not context.current() or record.fields.traceparent then return perform(handle, method, url, record) end
  local attributes = { ["http.request.method"] = method, ["url.full"] = url }
  return run(method, "client", attributes, describe_response, function(own)
    return perform(handle, method, url, request.with_headers(record, context.headers(own)))
  end)
end

exchange.traced = traced

-- ---- requests of the server -----------------------------------------------------------------------------------------

---Runs fn within the trace that the headers of a request tell of. What is not understood begins no trace.
---@param traceparent string?
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returns
function M.continue(traceparent, fn, ...)
  local theirs = context.read(traceparent)
  if not theirs then return fn(...) end
  context.begin()
  local before = context.swap(theirs)
  local function close(ok, ...)
    context.swap(before)
    if ok then return ... end
    core.rethrow(...)
  end
  return close(errors.try(fn, ...))
end

-- `serve` returns what it has answered: { status, route }, "" if there is none, and then its results.
local function describe_answer(span, answer)
  if answer.route ~= "" then
    span.name = span.name .. " " .. answer.route
    span.attributes["http.route"] = answer.route
  end
  span.attributes["http.response.status_code"] = answer.status
  if answer.status >= 500 then span.failed = "" end
end

local function skip_first(_, ...) return ... end

-- Serves a request as a span, in the caller's trace or in a new one.
local function serve(fn, req, ...)
  local headers = req.headers
  local theirs = context.read(headers.traceparent, headers.tracestate)
  if not theirs and not context.sink then return skip_first(fn(req, ...)) end
  local before = context.swap(theirs)
  local attributes = {
    ["http.request.method"] = req.method, ["url.path"] = req.path, ["url.scheme"] = req.scheme,
    ["client.address"] = req.ip,
  }
  if headers["user-agent"] then attributes["user_agent.original"] = headers["user-agent"] end
  local function close(ok, ...)
    context.swap(before)
    if ok then return skip_first(...) end
    core.rethrow(...)
  end
  return close(errors.try(run, req.method, "server", attributes, describe_answer, without_context(fn), req, ...))
end

context.serve = serve

-- ---- the exporter ---------------------------------------------------------------------------------------------------

---@class braid.telemetry.Options
---@field endpoint string URL of the collector; /v1/traces is appended
---@field service string the service's name
---@field sample number? the part of the traces that are sent, 0 to 1; default 1. What a caller's header says goes first
---@field headers table<string, string>? of the requests to the collector

---Sends spans to a collector, in the background: those of this state, and those of the workers to which it sends jobs.
---A batch goes every half second, or when there are 512 spans; one that fails in a way that may pass is tried again,
---five times at most. A collector that cannot be reached is reported once on stderr; it fails nobody and delays nobody.
---At most 4,096 spans wait; what has no room is dropped and counted. The end of a run, and of the script, sends what is
---left, for at most 5 s; `os.exit` does not.
---@param opts braid.telemetry.Options
---@return braid.telemetry.Exporter exporter its `<close>` sends what is left, and ends it
function M.telemetry(opts)
  local before = context.sink
  if before and before.collects then before:close() end
  local made = exporter.new(opts, function(closed)
    if context.sink == closed then context.sink = nil end
  end)
  context.sink = made
  context.begin()
  return made
end

return M
