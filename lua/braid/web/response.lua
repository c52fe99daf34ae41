-- SPDX-License-Identifier: MIT
-- The answers of handlers, and how they become a status, a body and headers.
local cookies = require "braid.web.cookies"
local core = require "braid.core"
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"

local M = {}

---@class braid.web.Response
---@field status integer
---@field headers braid.web.Headers
---@field body string|table|nil a table is sent as JSON
---@field stream function? produces the body piece by piece
---@field file braid.web.File? the body is this file
---@field upgrade {agreement: braid.websocket.Agreement, spec: table, fn: function}? the connection becomes a WebSocket
local Response = { __name = "braid.response" }
Response.__index = Response
M.class = Response

local reasons = {
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [409] = "Conflict",
  [410] = "Gone",
  [412] = "Precondition Failed",
  [413] = "Content Too Large",
  [415] = "Unsupported Media Type",
  [416] = "Range Not Satisfiable",
  [417] = "Expectation Failed",
  [422] = "Unprocessable Content",
  [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error",
  [501] = "Not Implemented",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
  [505] = "HTTP Version Not Supported",
}

local encode = core.json_encode -- what json.encode is without options

-- `lines`: the same as a server sends it.
local json_list = { "Content-Type", "application/json", lines = "Content-Type: application/json\r\n" }
local text_list = { "Content-Type", "text/plain; charset=utf-8", lines = "Content-Type: text/plain; charset=utf-8\r\n" }
local empty_list = { lines = "" }

function Response:__tostring() return ("braid.response %s: %s"):format(self.status, self.message or "") end

--- Adds a cookie to the answer, in place of one with the same name, path and domain. Raises for a name, a value or an
--- option that a cookie cannot have: values are texts without blanks, quotes, ',', ';' and '\\'.
---@param name string
---@param value string|number|nil nil removes it; give the path and domain with which it was set
---@param opts braid.web.CookieOptions?
---@return braid.web.Response self
function Response:set_cookie(name, value, opts)
  if type(self) ~= "table" or getmetatable(self) ~= Response then errors.no_self(1, Response, "set_cookie", self) end
  local text = cookies.text(name, value, opts)
  local list = self.headers
  if getmetatable(list) ~= headers.class then
    list = headers.checked(list)
    self.headers = list
  end
  list["set-cookie"] = cookies.add(list["set-cookie"], text)
  return self
end

local function new(status, body, header_table)
  return setmetatable({ status = status, body = body, headers = header_table }, Response)
end

local function check_status(status)
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    errors.misuse(1, "a status is an integer from 200 to 599, not %s", tostring(status))
  end
end

local known = { status = "integer", headers = "table", body = "string|table", stream = "function" }

--- Makes an answer with a status, headers and a body.
--- A stream is a function with a parameter, `write`, or an iterator that returns pieces until nil. Both may wait, and
--- they wait automatically while the client is slow. A stream runs in the request's task. If it raises, the connection
--- is closed, so the client knows that something is missing.
---@param options {status: integer?, headers: table<string, string|number|string[]>?, body: string|table|nil,
---  stream: function?}? status: default 200; headers: a list as value sends the header several times; body: a string
---  (text/plain, unless headers say otherwise) or a table, which becomes JSON; stream: instead of a body
---@return braid.web.Response
function M.response(options)
  errors.check_options(1, "response", options, known)
  options = options or {}
  local status = options.status or 200
  check_status(status)
  if options.stream and options.body ~= nil then
    errors.misuse(1, "a response has a body or a stream, not both")
  end
  local response = new(status, options.body, headers.checked(options.headers))
  response.stream = options.stream
  return response
end

--- Makes the answer that makes a WebSocket of the connection: see websocket.lua.
---@param agreement braid.websocket.Agreement
---@param spec braid.web.WebSocketOptions
---@param fn function
---@return braid.web.Response
function M.upgrade(agreement, spec, fn)
  local response = new(101, nil, headers.checked())
  response.upgrade = { agreement = agreement, spec = spec, fn = fn }
  return response
end

-- Adds a field of a server-sent event, line by line: a newline in the value must not begin another field.
local function add_field(lines, name, value)
  if value == nil then return end
  for line in (tostring(value) .. "\n"):gsub("\r\n?", "\n"):gmatch("([^\n]*)\n") do
    lines[#lines + 1] = name .. ": " .. line
    if name ~= "data" then return end
  end
end

local function event_text(event)
  if type(event) ~= "table" then event = { data = event } end
  local lines, data = {}, event.data
  add_field(lines, "event", event.event)
  add_field(lines, "id", event.id)
  add_field(lines, "retry", event.retry)
  if type(data) == "table" then data = json.encode(data) end
  add_field(lines, "data", data)
  return table.concat(lines, "\n") .. "\n\n"
end

--- Makes an answer of server-sent events (text/event-stream). `fn` is called with a function that sends an event: a
--- string, or a table with data (a table is sent as JSON), event, id, retry. If the client leaves, the handler's task
--- is cancelled.
---@param fn fun(send: fun(event: string|table))
---@return braid.web.Response
function M.events(fn)
  errors.check_function(1, "events", "fn", fn)
  local response = M.response { headers = { ["Content-Type"] = "text/event-stream", ["Cache-Control"] = "no-cache" } }
  response.stream = function(write)
    return fn(function(event) return write(event_text(event)) end)
  end
  return response
end

--- Whether a stream takes `write`; else it is an iterator.
---@param stream function
---@return boolean
function M.is_writer(stream)
  local info = type(stream) == "function" and debug.getinfo(stream, "Su")
  return info and info.what ~= "C" and info.nparams > 0 or false
end

--- Runs a stream to its end.
---@param stream function
---@param write fun(piece: string)
function M.run_stream(stream, write)
  if M.is_writer(stream) then return stream(write) end
  for piece in stream do write(piece) end
end

--- Makes the answer for a failure: `{"error": message}`.
---@param status integer
---@param message string? default: the usual name of the status
---@return braid.web.Response
function M.failure(status, message)
  if message and not utf8.len(message) then message = message:gsub("[\x80-\xFF]", "?") end
  local response = new(status, { error = message or reasons[status] or "Error" }, headers.checked())
  response.message = response.body.error
  return response
end

--- Ends the handler with a status: `{"error": message}`. Does not return: it raises the response.
---@param status integer
---@param message string? default: the usual name of the status
function M.abort(status, message)
  check_status(status)
  if message ~= nil and type(message) ~= "string" then
    errors.misuse(1, "bad argument 'message' to 'abort' (a string expected, got %s)", errors.described(message))
  end
  error(M.failure(status, message), 0)
end

---@param value any
---@return boolean
function M.is(value) return getmetatable(value) == Response end

local function check_results(status, header_table)
  if math.type(status) ~= "integer" then
    error(("a handler's second result is its status, an integer, not %s"):format(errors.described(status)), 0)
  end
  if header_table ~= nil and type(header_table) ~= "table" then
    error(("a handler's third result is a table of headers, not %s"):format(errors.described(header_table)), 0)
  end
  check_status(status)
end

--- Converts the results of a handler to a response.
---@param value any
---@param status integer? instead of 200, or 204 without a value; not beside a response
---@param header_table table<string, string|number|string[]>?
---@return braid.web.Response
function M.of(value, status, header_table)
  local kind = type(value)
  if kind == "table" and getmetatable(value) == Response then
    if status ~= nil then error("a handler returned a response and a second value: a response has its status", 0) end
    return value
  end
  if kind == "table" and status == nil and header_table == nil then
    return setmetatable({ status = 200, body = value, headers = setmetatable({}, headers.class) }, Response)
  end
  if kind ~= "table" and kind ~= "string" and kind ~= "nil" then
    error(("a handler returned a %s; it may return a table, a string, nil or a braid.web.response"):format(kind), 0)
  end
  if status == nil and header_table ~= nil then status = kind == "nil" and 204 or 200 end
  if status ~= nil then check_results(status, header_table) end
  return new(status or kind == "nil" and 204 or 200, value, headers.checked(header_table))
end

-- The body of a stream or file is sent later, so the response is returned in its place.
local function render_source(response, typed, list)
  if not typed then
    list = table.move(list, 1, #list, 1, {})
    table.move({ "Content-Type", "application/octet-stream" }, 1, 2, #list + 1, list)
  end
  return response.status, response, list
end

local function render_response(response)
  local status, body = response.status, response.body
  if not response.upgrade then check_status(status) end
  local list = response.headers
  if getmetatable(list) ~= headers.class then list = headers.checked(list) end
  local typed = rawget(list, "content-type") ~= nil
  list = next(list) and headers.list(list) or empty_list
  if response.upgrade then return 101, response, list end
  if response.stream or response.file then return render_source(response, typed, list) end
  local kind
  if type(body) == "table" then
    body, kind = encode(body), json_list
  elseif type(body) == "string" then
    kind = text_list
  elseif body ~= nil then
    error(("the body of a response is a %s; it may be a string or a table"):format(type(body)), 0)
  end
  if status == 204 or status == 304 then body = nil end
  if body and not typed then
    if #list == 0 then return status, body, kind end
    table.move(kind, 1, 2, #list + 1, list)
  end
  return status, body or "", list
end

--- Converts the results of a handler to what is sent. Raises for values that cannot be an answer.
---@param value any
---@param code integer? the status
---@param header_table table?
---@return integer status
---@return string|braid.web.Response body the response itself if it has a stream or a file, or is an upgrade
---@return string[] headers names and values alternately
function M.render(value, code, header_table)
  if code ~= nil or header_table ~= nil then return render_response(M.of(value, code, header_table)) end
  local kind = type(value)
  if kind == "table" then
    if getmetatable(value) == Response then return render_response(value) end
    return 200, encode(value), json_list
  end
  if kind == "string" then return 200, value, text_list end
  return render_response(M.of(value))
end

return M
