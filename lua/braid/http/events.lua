-- SPDX-License-Identifier: MIT
-- An iterator over server-sent events, which connects again when the connection is lost.
local core = require "braid.core"
local errors = require "braid.errors"
local event_parser = require "braid.http.event_parser"
local scope = require "braid.tasks.scope"

local M = {}

---When an event stream that has ended is asked for again.
---@class braid.http.Reconnect
---@field delay number? seconds, unless the server says; default 3
---@field most number? most seconds: the delay doubles with each failure; default 60
---@field tries integer? failures in a row, after which the iterator raises the last one; default: no limit

---Options of `events`, in addition to those of a request. `timeout` is the time until the response begins;
---`timeouts.read` without a byte ends the connection, and the next one is made.
---@class braid.http.EventOptions: braid.http.Options
---@field method string? default "GET"; with any other the stream is read once, and its end is the end of the iterator
---@field last_event_id string? the id of the last event that is known already
---@field reconnect boolean|braid.http.Reconnect|nil false: the end of the stream is the end of the iterator
---@field max_event integer? bytes of one event, beyond which it raises kind limit; default 1 MiB

local OWN = {
  method = "string", last_event_id = "string", reconnect = "boolean|table", max_event = "integer",
}
local RECONNECT = { delay = "number", most = "number", tries = "integer" }
local REFUSED = { "stream", "sink", "file", "resume", "progress", "cache", "retry", "retries" }

---An open stream of events. Called, it returns the next event. A `<close>` variable, and the end of a `for`, close it.
---@class braid.http.Events
---@field id string the id of the last event
---@field private _ask fun(headers: table): braid.http.Response?, braid.Error?
---@field private _parser braid.http.EventParser
---@field private _ready braid.http.ServerEvent[]
---@field private _at integer
---@field private _response braid.http.Response?
---@field private _next (fun(): string?)?
---@field private _plan braid.http.Reconnect?
---@field private _failures integer
---@field private _connected boolean? it has been connected once
---@field private _ended boolean?
---@field private _trouble braid.Error? is raised after the events that are ready
local Events = { __name = "braid.http.Events" }

local methods = {}

function Events.__index(self, name)
  if name == "id" then return self._parser.id end
  return methods[name]
end

local function disconnect(self)
  local response = self._response
  self._response, self._next = nil, nil
  if response then response:close() end
end

---Closes the connection. The iterator then ends.
function methods:close()
  self._ended = true
  disconnect(self)
end
Events.__close = methods.close

local TEMPORARY = { [408] = true, [425] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }

local function refusal(response, what)
  return errors.new("http", ("GET %s: %s"):format(response.url, what), {
    url = response.url, status = response.status, code = "NOT_AN_EVENT_STREAM", response = response,
  })
end

-- Returns the stream; or nil and an error, and whether it may go away.
local function open(self)
  local response, err = self._ask(self._parser.id)
  if not response then return nil, err, err.kind == "http" or err.kind == "timeout" end
  if response.status ~= 200 then
    response:close()
    return nil, refusal(response, ("status %d"):format(response.status)), TEMPORARY[response.status]
  end
  local kind = (response.headers["content-type"] or ""):lower()
  if not kind:find("^text/event%-stream") then
    response:close()
    if kind == "" then kind = "of no type" end
    return nil, refusal(response, ("the answer is %s, no text/event-stream"):format(kind))
  end
  return response
end

-- A failure: waits before the next connection, or raises.
local function fail(self, err, may_pass)
  local plan = self._plan
  self._failures = self._failures + 1
  if not plan or not may_pass or not self._connected or self._failures >= plan.tries then
    self:close()
    core.rethrow(err)
  end
  local delay = self._parser.retry or plan.delay
  core.sleep(math.min(math.max(plan.most, delay), delay * 2.0 ^ math.min(self._failures - 1, 30)))
end

local function connect(self)
  local response, err, may_pass = open(self)
  if self._ended then return response and response:close() end
  if not response then
    if err.status == 204 then return self:close() end -- the server wants nobody to come again
    return fail(self, err, may_pass)
  end
  self._parser:restart()
  self._response, self._connected = response, true
  self._next = response:chunks()
end

-- The stream has ended, or was lost.
local function lose(self, err)
  disconnect(self)
  if self._ended then return end
  if err and err.kind ~= "http" and err.kind ~= "timeout" then
    self:close()
    core.rethrow(err)
  end
  if not self._plan then
    self:close()
    if err then core.rethrow(err) end
    return
  end
  core.sleep(self._parser.retry or self._plan.delay)
end

local function receive(self)
  local ok, piece = pcall(self._next)
  if self._ended then return end
  if not ok then
    if not errors.is_error(piece) or errors.is_echo(piece) then error(piece, 0) end
    return lose(self, piece)
  end
  if not piece then return lose(self) end
  local events, err = self._parser:read(piece)
  self._ready, self._at = events, 1
  if events[1] then self._failures = 0 end
  self._trouble = err
end

function Events.__call(self)
  while true do
    local event = self._ready[self._at]
    if event then
      self._at = self._at + 1
      return event
    end
    if self._trouble then
      self:close()
      core.rethrow(self._trouble)
    end
    if self._ended then return nil end
    if self._next then receive(self) else connect(self) end
  end
end

-- ---- options --------------------------------------------------------------------------------------------------------

local function plan_of(wish, method)
  if wish == false or wish == nil and method ~= "GET" then return nil end
  local plan = type(wish) == "table" and wish or {}
  errors.check_options(1, "reconnect", plan, RECONNECT)
  for name, value in pairs(plan) do
    if value < 0 or value ~= value then
      errors.misuse(1, "bad option 'reconnect' (%s: at least 0 expected, got %s)", name, value)
    end
  end
  return { delay = plan.delay or 3, most = plan.most or 60, tries = plan.tries or math.huge }
end

-- The options of the requests, but for their headers.
local function request_of(opts, method)
  local request = { method = method, stream = true, timeout = math.huge }
  for name, value in pairs(opts) do
    if not OWN[name] and name ~= "timeout" then request[name] = value end
  end
  if opts.timeouts then
    request.timeout, request.timeouts = nil, { total = math.huge }
    for name, value in pairs(opts.timeouts) do
      if name ~= "total" then request.timeouts[name] = value end
    end
  end
  return request
end

-- The headers of a request.
local function headers_of(opts, id)
  local headers = { Accept = "text/event-stream", ["Cache-Control"] = "no-store" }
  for name, value in pairs(opts.headers or {}) do headers[name] = value end
  if id ~= "" then headers["Last-Event-ID"] = id end
  return headers
end

local function check(opts)
  for _, name in ipairs(REFUSED) do
    if opts[name] ~= nil then errors.misuse(1, "bad option '%s' (events cannot have it)", name) end
  end
  for name, expected in pairs(OWN) do
    if opts[name] ~= nil then errors.check_options(1, "events", { [name] = opts[name] }, { [name] = expected }) end
  end
  if opts.last_event_id and opts.last_event_id:find("[%z\r\n]") then
    errors.misuse(1, "bad option 'last_event_id' (text without line ends and zero bytes expected)")
  end
  if opts.max_event and opts.max_event < 1 then
    errors.misuse(1, "bad option 'max_event' (bytes, at least 1, expected, got %d)", opts.max_event)
  end
end

---Makes the iterator of `events`.
---@param session braid.http.Session
---@param url string
---@param opts braid.http.EventOptions?
---@return braid.http.Events
function M.new(session, url, opts)
  if opts ~= nil and type(opts) ~= "table" then
    errors.misuse(1, "bad argument 'opts' to 'events' (a table expected, got %s)", errors.described(opts))
  end
  opts = opts or {}
  check(opts)
  local method = (opts.method or "GET"):upper()
  local request = request_of(opts, method)
  local patience = opts.timeout or opts.timeouts and opts.timeouts.total or 30
  local function ask(id)
    request.url, request.headers = url, headers_of(opts, id)
    local in_time, response, err = scope.move_on_after(patience, session.request, session, request)
    if in_time then return response, err end
    return nil, errors.new("timeout", ("%s %s: no answer after %g s"):format(method, url, patience), { url = url })
  end
  return setmetatable({
    _ask = ask, _parser = event_parser.new(opts.max_event or 1 << 20, opts.last_event_id or ""), _ready = {}, _at = 1,
    _plan = plan_of(opts.reconnect, method), _failures = 0,
  }, Events)
end

errors.guard(Events, methods)

return M
