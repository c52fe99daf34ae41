-- SPDX-License-Identifier: MIT
-- The request that a handler gets. Only method and path are there from the beginning. The rest is fetched or decoded
-- when it is first used.
local access_log = require "braid.web.access_log"
local core = require "braid.core"
local decoding = require "braid.web.decoding"
local errors = require "braid.errors"
local forwarded = require "braid.web.forwarded"
local headers = require "braid.web.headers"
local json = require "braid.json"
local multipart = require "braid.web.multipart"
local response = require "braid.web.response"

local M = {}

---@class braid.web.Request
---@field method string "GET" and so on
---@field path string decoded, without the query
---@field query table<string, string> decoded; of a repeated name the first value
---@field params table<string, string|number> the values of the route's parameters
---@field valid {params: table?, query: table?, headers: table?, body: any, form: table?}? what the route has checked
---@field headers braid.web.Headers names are case-insensitive
---@field body string suspends if it is streamed
---@field cookies table<string, string>
---@field session table of this client, with the middleware braid.web.sessions; saved when it has changed
---@field peer string? the address of the other end; nil at a Unix socket
---@field ip string? the client's address: what the server's or the middleware's `proxies` say of it, else the peer
---@field scheme "http"|"https" that the client used
---@field host string to which the request was sent, with its port
---@field url string the whole address
---@field mount string? the path's beginning that this application does not see, because it is mounted there
---@field id string of this request, as in the access log; from a named proxy its X-Request-Id
local Request, methods = { __name = "braid.request" }, {}

local lazy = {}

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

local PIECE = 256 << 10 -- bytes of a body that has come

-- An iterator over the pieces of a text.
local function pieces_of(text)
  local at = 1
  return function()
    if at > #text then return nil end
    local piece = at == 1 and #text <= PIECE and text or text:sub(at, at + PIECE - 1)
    at = at + PIECE
    return piece
  end
end

-- The body as it was sent: an iterator over its pieces.
local function sent_pieces(request)
  local body = rawget(request, "_content") or request._exchange and ask(request, "body")
  if body then return pieces_of(body) end
  return function() return next_piece(request) end
end

-- The codings of the body; nil: there are none.
local function codings_of(request)
  local exchange = request._exchange
  if exchange and not request._server:header(exchange, "content-encoding") then return nil end
  return request.headers["content-encoding"]
end

local function limit_of(request)
  return request._exchange and request._server:max_body(request._exchange) or request._max_body
end

--- An iterator over the pieces of the body as they come. With `stream_body` in the route's options the handler begins
--- before the body has arrived; the client cannot send faster than this is called. A compressed body is decompressed
--- (gzip, deflate, br, zstd), with `max_body` as its limit. Each step suspends.
---@return fun(): string?
function methods:chunks()
  local body = rawget(self, "body")
  if body then return pieces_of(body) end
  local pieces, codings = sent_pieces(self), codings_of(self)
  if not codings then return pieces end
  return decoding.pieces(codings, pieces, limit_of(self))
end

function lazy.body(request)
  if rawget(request, "_form") then errors.misuse(1, "the body is read already: as a form, while it came") end
  local codings = codings_of(request)
  local body = not codings and ask(request, "body")
  if body then return body end
  local pieces = {}
  for piece in request:chunks() do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

function lazy.cookies(request)
  local cookies = {}
  for pair in (request.headers.cookie or ""):gmatch("[^;]+") do
    local name, value = pair:match("^%s*([^=%s]+)=(.*)$")
    if name and cookies[name] == nil then cookies[name] = value:match('^"(.*)"$') or value end
  end
  return cookies
end

function lazy.session(request)
  local sessions = rawget(request, "_sessions")
  if not sessions then errors.misuse(1, "request.session needs the middleware braid.web.sessions{...}") end
  return sessions:open(request)
end

--- Gives the session a new id (with a store) or a new signature, as it should have after a login. Its data stays.
function methods:renew_session()
  if rawget(self, "session") == nil then
    local _ = self.session
  elseif not rawget(self, "_session_state") then
    self._sessions:open(self)
  end
  self._session_state.renewed = true
end

function lazy.headers(request) return headers.received(ask(request, "headers")) end

-- ---- the client -----------------------------------------------------------------------------------------------------

-- What is known of a server, by its handle: `scheme` and `proxies`.
local servers = setmetatable({}, { __mode = "k" })
local unknown = { scheme = "http" }

--- Says what a server's requests have in common.
---@param server userdata
---@param facts {scheme: string, proxies: braid.web.Proxies?, server: braid.web.Server}
function M.know(server, facts) servers[server] = facts end

local function facts_of(request) return servers[rawget(request, "_server")] or unknown end

--- The server at which a request has arrived; nil for a test client's.
---@param request braid.web.Request
---@return braid.web.Server?
function M.server(request) return facts_of(request).server end

-- The address, scheme and host that the client used.
function lazy._client(request)
  local facts = facts_of(request)
  local named = rawget(request, "_proxies") or facts.proxies
  local client = { ip = request.peer, scheme = facts.scheme, host = request.headers.host }
  if not named then return client end
  local ip, scheme, host = forwarded.client(named, request.peer, request.headers)
  return { ip = ip, scheme = scheme or client.scheme, host = host or client.host, named = ip ~= request.peer }
end

function lazy.ip(request) return request._client.ip end

function lazy.scheme(request) return request._client.scheme end

function lazy.host(request) return request._client.host or "" end

function lazy.url(request)
  local target = rawget(request, "_exchange") and request._server:target(request._exchange)
  local path = target and M.path_of(target) or request._raw
  local query = rawget(request, "_query")
  return ("%s://%s%s%s"):format(request.scheme, request.host, path, query and query ~= "" and "?" .. query or "")
end

--- Believes other proxies than the server's option says.
---@param request braid.web.Request
---@param named braid.web.Proxies
function M.trust(request, named)
  for _, name in ipairs { "_client", "ip", "scheme", "host", "url" } do request[name] = nil end
  request._proxies = named
end

function lazy.id(request)
  local named = rawget(request, "_proxies") or facts_of(request).proxies
  local given = named and request._client.named and request.headers["x-request-id"]
  if given and #given <= 128 and given:find "^[%w._:+/=@-]+$" then return given end
  return access_log.new_id()
end

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

-- As after, but before the functions that others gave.
function methods:_first_after(fn)
  self._after = rawget(self, "_after") or {}
  table.insert(self._after, 1, fn)
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

-- Whether the body is streamed because it is a large form, although its route does not say so.
local function is_large_form(request) return request._exchange and request._server:is_large_form(request._exchange) end

-- A form that comes in pieces has one reader. One that is there can be read again.
local function form_reader(request)
  local reader = rawget(request, "_form")
  if reader then return reader end
  local boundary = multipart.boundary_of(request.headers["content-type"])
  if not boundary then return nil end
  reader = multipart.reader(boundary, request:chunks())
  local streamed = request._exchange and not rawget(request, "body") and not ask(request, "body")
  if streamed then rawset(request, "_form", reader) end
  return reader
end

--- The fields of a form (application/x-www-form-urlencoded or multipart/form-data), decoded; a name that comes again
--- has a list of its values. Files are left out. With `stream_body` the files come first: `for file in
--- request:files()`, then this gives the fields; of a large form without the option, this first takes all of it into
--- memory. For a body of another type, ends the handler with status 415; for a
--- broken one 400.
---@return table<string, string|string[]>
function methods:form()
  if not rawget(self, "_form") and is_large_form(self) then local _ = self.body end -- its files can be read later
  local reader = form_reader(self)
  if reader then return reader:fields() end
  local kind = self.headers["content-type"] or ""
  if not kind:lower():find("^%s*application/x%-www%-form%-urlencoded") then
    response.abort(415, "a form (application/x-www-form-urlencoded or multipart/form-data) is expected")
  end
  local fields = {}
  for name, value in each_pair(self.body) do multipart.add(fields, name, value) end
  return fields
end

--- An iterator over the files of a form (multipart/form-data). Each is read before the next one is asked for:
--- `file:read()`, `file:chunks()`, `file:save(path)`; otherwise it is dropped. With `stream_body`, or in a form of more
--- than 1 MiB, they are read while they come, once, so they may be larger than memory; `max_body` is the limit of all
--- together. Suspends. For a body of another type, ends the handler with status 415; for a broken one 400.
---@return fun(): braid.web.Part?
function methods:files()
  if rawget(self, "_form") and is_large_form(self) then
    errors.misuse(1, "the files of a form of more than 1 MiB can be asked for once: they are read while they come")
  end
  local reader = form_reader(self)
  if not reader then response.abort(415, "a form with files (multipart/form-data) is expected") end
  return function() return reader:next_file() end
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
---@param pattern string? "": the request will be counted by its route's pattern
---@return braid.web.Request
function M.arrived(server, exchange, method, path, query, pattern)
  if pattern then -- all at once: a field that is added later is a new table
    return setmetatable({
      method = method, path = path, _server = server, _exchange = exchange, _query = query, _pattern = pattern,
    }, Request)
  end
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
    method = method, path = normal, _query = query, headers = header_table, _content = body, _escaped = escaped,
    _raw = core.web_path(raw, true), peer = "127.0.0.1",
  }
  if not header_table["content-encoding"] then fields.body = body end
  return setmetatable(fields, Request)
end

errors.guard(Request, methods)

return M
