-- SPDX-License-Identifier: MIT
-- The request that a handler gets. Only method and path are there from the beginning. The rest is fetched or decoded
-- when it is first used.
local access_log = require "braid.web.access_log"
local core = require "braid.core"
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"
local response = require "braid.web.response"

local M = {}

---@class braid.web.Request
---@field method string "GET" and so on
---@field path string decoded, without the query
---@field query table<string, string> decoded; of a repeated name the first value
---@field params table<string, string|number> the values of the route's parameters
---@field headers braid.web.Headers names are case-insensitive
---@field body string suspends if the route has stream_body
---@field cookies table<string, string>
---@field peer string? the client's address; nil at a Unix socket
---@field id string of this request, as in the access log
local Request = {}
Request.__name = "braid.request"

local methods, lazy = {}, {}

function Request.__index(request, key)
  local load = lazy[key]
  if not load then return methods[key] end
  local value = load(request)
  rawset(request, key, value)
  return value
end

local function character(digits) return string.char(tonumber(digits, 16)) end

--- Decodes escapes like %41. Invalid ones stay.
---@param text string
---@return string
function M.unescape(text) return (text:gsub("%%(%x%x)", character)) end

local function unescape_query(text)
  if not text:find("[+%%]") then return text end
  return M.unescape((text:gsub("+", " ")))
end

local function each_pair(query)
  local next_pair = (query or ""):gmatch("[^&]+")
  return function()
    local pair = next_pair()
    if not pair then return nil end
    local name, value = pair:match("^([^=]*)=(.*)$")
    return unescape_query(name or pair), unescape_query(value or "")
  end
end

local function first_values(text)
  local values = {}
  for name, value in each_pair(text) do
    if values[name] == nil then values[name] = value end
  end
  return values
end

--- The path of a target: without its query, and without a scheme and an authority.
---@param target string
---@return string
function M.path_of(target)
  local path = target:match "^[^?]*"
  if path:sub(1, 1) ~= "/" then path = path:match "^%a[%w+.-]*://[^/]*(.*)$" or path end
  return path == "" and "/" or path
end

function lazy.query(request) return first_values(request._query) end

function lazy.params() return {} end

local function over(what)
  return errors.new("closed", ("the request is over: its %s must be read before it is answered"):format(what))
end

-- Asks the server's exchange. It raises if the request is over: the server was closed while the handler ran, or the
-- request was kept after its answer.
local function ask(request, what)
  local exchange = request._exchange
  local value = exchange and request._server[what](request._server, exchange)
  if value ~= nil then return value end
  error(over(what))
end

local function next_piece(request)
  local piece, status = request._server:piece(request._exchange)
  if piece then return piece end
  if piece == nil then error(over "body") end
  if status > 0 then response.abort(status) end
  return nil
end

--- An iterator over the pieces of the body as they come. With `stream_body` in the route's options the handler begins
--- before the body has arrived; the client cannot send faster than this is called. Each step suspends.
---@return fun(): string?
function methods:chunks()
  if self._exchange then return next_piece, self end
  local rest = self.body
  return function()
    local piece = rest ~= "" and rest or nil
    rest = ""
    return piece
  end
end

function lazy.body(request)
  local body = ask(request, "body")
  if body then return body end
  local pieces = {}
  for piece in request:chunks() do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

function lazy.cookies(request)
  local cookies = {}
  for name, value in (request.headers.cookie or ""):gmatch("%s*([^=;%s]+)=([^;]*)") do
    if cookies[name] == nil then cookies[name] = value:match('^"(.*)"$') or value end
  end
  return cookies
end

function lazy.headers(request) return headers.received(ask(request, "headers")) end

function lazy.id() return access_log.new_id() end

-- The path as the client sent it, without its server's name, and with dot segments resolved; whether it has escapes of
-- '/' or NUL.
function lazy._raw(request)
  local target = request._exchange and request._server:target(request._exchange)
  if not target then return request.path end
  return core.web_path(M.path_of(target), true)
end

function lazy._escaped(request)
  if not request._exchange then return false end
  return select(3, request._server:target(request._exchange)) or false
end

--- Calls a function after the answer was sent. It runs in the request's task and may wait; the server's grace counts
--- it. A failure is reported.
---@param fn fun()
function methods:after(fn)
  errors.check_function(1, "after", "fn", fn)
  self._after = self._after or {}
  table.insert(self._after, fn)
end

function lazy.peer(request) return request._exchange and request._server:peer(request._exchange) end

--- The body, decoded from JSON. If the body is not JSON, ends the handler with status 400.
---@return any value null is braid.null
function methods:json()
  local ok, value = pcall(json.decode, self.body)
  if errors.is_error(value, "json") then response.abort(400, "the body is " .. value.message) end
  if not ok then error(value, 0) end
  return value
end

--- The body of a form (application/x-www-form-urlencoded), decoded; of a repeated name the first value. For a body of
--- another type, ends the handler with status 415.
---@return table<string, string>
function methods:form()
  local kind = self.headers["content-type"] or ""
  if not kind:lower():find("^application/x%-www%-form%-urlencoded") then
    response.abort(415, "a form (application/x-www-form-urlencoded) is expected")
  end
  return first_values(self.body)
end

--- All values of a name in the query, in order.
---@param name string
---@return string[]
function methods:query_all(name)
  local values = {}
  for found, value in each_pair(self._query) do
    if found == name then values[#values + 1] = value end
  end
  return values
end

--- Makes a request that has arrived at a server.
---@param server userdata of braid.core.web_server
---@param exchange integer
---@param method string
---@param path string
---@param query string?
---@return braid.web.Request
function M.arrived(server, exchange, method, path, query)
  local request = setmetatable({ method = method, path = path, _server = server, _exchange = exchange }, Request)
  if query then rawset(request, "_query", query) end -- four fields are less memory than five
  return request
end

--- Makes a request without a socket, for tests.
---@param method string
---@param path string
---@param query string?
---@param header_table braid.web.Headers
---@param body string
---@return braid.web.Request? nil: an escape in the path is none
function M.made(method, path, query, header_table, body)
  local raw = M.path_of(path)
  if raw:sub(1, 1) ~= "/" then return nil end
  local normal, escaped = core.web_path(raw)
  if not normal then return nil end
  local fields = {
    method = method, path = normal, _query = query, headers = header_table, body = body, _escaped = escaped,
    _raw = core.web_path(raw, true),
  }
  return setmetatable(fields, Request)
end

errors.guard(Request, methods)

return M
