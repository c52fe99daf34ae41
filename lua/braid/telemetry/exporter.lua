-- SPDX-License-Identifier: MIT
-- Sends spans to a collector: OTLP over HTTP, as JSON.
local core = require "braid.core"
local errors = require "braid.errors"
local json = require "braid.json"
local scope = require "braid.tasks.scope"
local session = require "braid.http.session"

local M = { KEY = "braid.span" }

local MOST_KEPT = 4096 -- spans; older ones are dropped
local MOST_SENT = 512 -- spans of one request
local PATIENCE = 10 -- seconds for one request

local KINDS = { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 }

-- ---- OTLP -----------------------------------------------------------------------------------------------------------

local function value_of(value)
  if type(value) == "boolean" then return { boolValue = value } end
  if math.type(value) == "integer" then return { intValue = tostring(value) } end
  if type(value) == "number" then return { doubleValue = value } end
  return { stringValue = value }
end

local function attributes_of(map)
  local names, list = {}, {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = { key = name, value = value_of(map[name]) } end
  return json.array(list)
end

local function nanoseconds(seconds)
  local whole = math.floor(seconds)
  return ("%d%09d"):format(whole, math.floor((seconds - whole) * 1e9))
end

local function span_of(span)
  return {
    traceId = span.trace, spanId = span.id, parentSpanId = span.parent, name = span.name, kind = KINDS[span.kind],
    startTimeUnixNano = nanoseconds(span.start), endTimeUnixNano = nanoseconds(math.max(span.finish, span.start)),
    attributes = attributes_of(span.attributes),
    status = span.failed and { code = 2, message = span.failed ~= "" and span.failed or nil } or { code = 0 },
  }
end

local function request_of(self, spans)
  local list = {}
  for i, span in ipairs(spans) do list[i] = span_of(span) end
  return { resourceSpans = json.array {
    {
      resource = { attributes = attributes_of { ["service.name"] = self._service } },
      scopeSpans = json.array { { scope = { name = "braid" }, spans = json.array(list) } },
    },
  } }
end

-- ---- the exporter ---------------------------------------------------------------------------------------------------

---What sends spans. `<close>` sends what is left, and ends it.
---@class braid.telemetry.Exporter
---@field sample number
---@field dropped integer spans that were dropped because too many waited
---@field private _service string
---@field private _url string
---@field private _session braid.http.Session
---@field private _spans table[]
---@field private _sending braid.Task?
---@field private _told boolean? a failure was reported
---@field private _closed boolean?
---@field private _at_end fun(exporter: braid.telemetry.Exporter)
local Exporter = { __name = "braid.telemetry.Exporter" }
Exporter.__index = Exporter

local function report(self, why)
  if self._told then return end
  self._told = true
  io.stderr:write(("braid.telemetry: spans cannot be sent to %s: %s\n"):format(self._url, tostring(why)))
end

-- Sends some of the spans. They stay if the request is cancelled or fails in a way that may pass.
local function send_some(self)
  local spans = table.move(self._spans, 1, math.min(#self._spans, MOST_SENT), 1, {})
  local response, err = self._session:post(self._url, { json = request_of(self, spans), timeout = PATIENCE })
  local refused = response and response.status >= 400
  if refused then err = ("status %d"):format(response.status) end
  if err then report(self, err) end
  if not response then return false end
  self._spans = table.move(self._spans, #spans + 1, #self._spans, 1, {})
  return true
end

local function send_all(self)
  core.locals()[M.KEY] = nil -- the requests of the exporter are no part of a trace
  while self._spans[1] and send_some(self) do end
end

-- Sends in the background, in the scope of the task that has ended a span: the scope's end waits for it.
local function begin(self)
  if self._closed or self._sending and not self._sending:done() then return end
  self._sending = core.spawn(function()
    local ok, err = pcall(send_all, self)
    if not ok and not errors.is_echo(err) then report(self, err) end
  end)
end

---Adds a span. For braid.telemetry.
---@param span table
---@param root boolean
function Exporter:add(span, root)
  local spans = self._spans
  spans[#spans + 1] = span
  if #spans > MOST_KEPT then
    table.remove(spans, 1)
    self.dropped = self.dropped + 1
  end
  if root or #spans == MOST_SENT then begin(self) end
end

---Sends all that was not sent yet. Suspends.
---@param timeout number? seconds; default 10
---@return boolean sent
function Exporter:flush(timeout)
  local before = core.locals()[M.KEY]
  scope.move_on_after(timeout or PATIENCE, function()
    if self._sending then self._sending:wait() end
    send_all(self)
  end)
  core.locals()[M.KEY] = before
  return not self._spans[1]
end

---Sends what is left, and ends it: later spans are not sent. Suspends.
function Exporter:close()
  if self._closed then return end
  self:flush()
  self._closed = true
  self._at_end(self)
  self._session:close()
end
Exporter.__close = Exporter.close

local KNOWN = { endpoint = "string", service = "string", sample = "number", headers = "table" }

---@param opts braid.telemetry.Options
---@param at_end fun(exporter: braid.telemetry.Exporter)
---@return braid.telemetry.Exporter
function M.new(opts, at_end)
  errors.check_options(1, "telemetry", opts, KNOWN)
  for _, name in ipairs { "endpoint", "service" } do
    if type(opts) ~= "table" or not opts[name] then errors.misuse(1, "telemetry: the option '%s' is missing", name) end
  end
  local sample = opts.sample or 1
  if not (sample >= 0 and sample <= 1) then
    errors.misuse(1, "bad option 'sample' (0 to 1 expected, got %s)", sample)
  end
  if not opts.endpoint:find("^[Hh][Tt][Tt][Pp][Ss]?://") then
    errors.misuse(1, "bad option 'endpoint' (a URL with http:// or https:// expected, got %q)", opts.endpoint)
  end
  return setmetatable({
    sample = sample, dropped = 0, _service = opts.service, _url = opts.endpoint:gsub("/*$", "") .. "/v1/traces",
    _session = session.new { cookies = false, headers = opts.headers }, _spans = {}, _at_end = at_end,
  }, Exporter)
end

errors.guard(Exporter)

return M
