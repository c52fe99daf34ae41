-- SPDX-License-Identifier: MIT
-- Calls an application directly, without a server: with a server's limits, and with a client's cookies.
local context = require "braid.telemetry.context"
local core = require "braid.core"
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"
local net = require "braid.io.net"
local query = require "braid.http.query"
local request = require "braid.web.request"
local response = require "braid.web.response"
local stream = require "braid.io.stream"
local websocket = require "braid.web.websocket"

local M = {}

local MAX_BODY = 1 << 20 -- as of a server without that option

---Calls the application without a socket. `client:get(path, options?)` is `client:request("GET", path, options)`; the
---others are likewise.
---@class braid.web.TestClient
---@field get fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field post fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field put fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field patch fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field delete fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field head fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field options fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
local TestClient = {}
TestClient.__index = TestClient

---@class braid.web.TestResponse
---@field status integer
---@field headers braid.web.Headers names are case-insensitive
---@field body string
---@field chunks string[]? the pieces of a streamed body
---@field failed boolean? the stream failed before its end
local TestResponse = {}
TestResponse.__index = TestResponse

--- The body, decoded from JSON.
---@return any value nil if it is not JSON
---@return any err
function TestResponse:json()
  local ok, value = pcall(json.decode, self.body)
  if ok then return value end
  if not errors.is_error(value, "json") then error(value, 0) end
  return nil, errors.new("http", "the body is " .. value.message, { code = "NOT_JSON", cause = value })
end

--- All values of a header that was sent several times.
---@param name string
---@return string[]
function TestResponse:values(name) return self._values[name:lower()] or {} end

---@param app braid.web.App
---@return braid.web.TestClient
function M.new(app) return setmetatable({ _app = app, _cookies = {} }, TestClient) end

-- ---- cookies --------------------------------------------------------------------------------------------------------

local function folder_of(path) return path:match("^(/.+)/[^/]*$") or "/" end

-- Keeps, replaces or removes the cookie of a Set-Cookie.
local function take_cookie(cookies, text, path)
  local name, value, rest = text:match("^%s*([^=;%s]+)=([^;]*)(.*)$")
  if not name then return end
  local folder = rest:match(";%s*[Pp][Aa][Tt][Hh]=(/[^;]*)") or folder_of(path)
  local age = tonumber(rest:match(";%s*[Mm][Aa][Xx]%-[Aa][Gg][Ee]=(%-?%d+)"))
  for i = #cookies, 1, -1 do
    if cookies[i].name == name and cookies[i].path == folder then table.remove(cookies, i) end
  end
  if age and age <= 0 or rest:find("1970", 1, true) then return end
  cookies[#cookies + 1] = { name = name, value = value, path = folder }
end

local function cookie_header(cookies, path)
  local fitting = {}
  for _, cookie in ipairs(cookies) do
    local inside = path == cookie.path or path:sub(1, #cookie.path) == cookie.path
      and (cookie.path:sub(-1) == "/" or path:sub(#cookie.path + 1, #cookie.path + 1) == "/")
    if inside then fitting[#fitting + 1] = cookie.name .. "=" .. cookie.value end
  end
  return #fitting > 0 and table.concat(fitting, "; ") or nil
end

-- ---- requests -------------------------------------------------------------------------------------------------------

local known = { headers = "table", query = "table", body = "string", form = "table", multipart = "table" }

-- Collects the pieces that a server would send.
local function take_stream(app, req, source)
  local chunks = {}
  local whole, cancelled = app:_run_stream(req, source.stream, function(piece)
    if type(piece) ~= "string" then error("a piece of a stream is a " .. type(piece) .. ", not a string", 2) end
    chunks[#chunks + 1] = piece
    return true
  end)
  if cancelled then error(cancelled, 0) end
  return table.concat(chunks), chunks, not whole
end

local function take_file(source)
  local file = source.file
  local body = file.handle:read(file.offset, file.size)
  file.handle:close()
  return body
end

-- Checks the options; json may be any value that JSON can express.
local function check_options(options)
  local rest = {}
  for name, value in pairs(options) do
    if name ~= "json" then rest[name] = value end
  end
  errors.check_options(1, "request", rest, known)
end

-- The parts are as of the HTTP client, but all of them are texts.
local function multipart_body(parts, header_table)
  local text, boundary = require("braid.http.multipart").body(parts)
  if type(text) ~= "string" then errors.misuse(2, "bad option 'multipart' (a test client's parts are strings)") end
  header_table["Content-Type"] = "multipart/form-data; boundary=" .. boundary
  return text
end

-- Makes the body, and completes the headers.
local function body_of(options, header_table)
  local body = options.body or ""
  if options.json ~= nil then
    body = json.encode(options.json)
    header_table["Content-Type"] = header_table["Content-Type"] or "application/json"
  end
  if options.form then
    body = query.encoded("form", options.form)
    header_table["Content-Type"] = header_table["Content-Type"] or "application/x-www-form-urlencoded"
  end
  if options.multipart then return multipart_body(options.multipart, header_table) end
  return body
end

-- The request, and the status with which a server would refuse it.
local function make_request(self, method, path, header_table, body, options)
  local plain, text = path:match("^([^?]*)%??(.*)$")
  if options.query then text = query.encoded("query", options.query) end
  local req = request.made(method, plain, text, header_table, body)
  if not req then return request.made(method, "/", text, header_table, body), 400 end
  local cookies = cookie_header(self._cookies, req.path)
  if cookies and not header_table.cookie then header_table.Cookie = cookies end
  header_table.Host = header_table.Host or "localhost"
  req._max_body = self._app:_body_wishes(method, req.path) or MAX_BODY
  if #body > req._max_body then return req, 413 end
  return req
end

local function take_values(list)
  local values = {}
  for i = 1, #list, 2 do
    local name = list[i]:lower()
    values[name] = values[name] or {}
    table.insert(values[name], list[i + 1])
  end
  return values
end

-- Returns what its span is told, and then the answer.
local function answer_in_span(req, app)
  rawset(req, "_pattern", "")
  return (function(status, ...)
    return { route = req._pattern, status = status }, status, ...
  end)(app:_answer(req))
end

local function run_after(req)
  for _, fn in ipairs(req._after or {}) do
    local ok, err, place = errors.try(fn)
    if not ok then errors.report(err, place, "request:after") end
  end
end

--- Sends a request. Suspends if the handler does. Cookies that an answer sets are sent with later requests.
---@param method string
---@param path string may contain a query
---@param options {headers: table<string, string>?, query: table<string, any>?, body: string?, json: any,
---  form: table<string, any>?, multipart: table?}? a list as a value of query and form repeats the name; multipart: as
--- of braid.http.request, of strings
---@return braid.web.TestResponse
function TestClient:request(method, path, options)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'request' (a string expected, got %s)", errors.described(path))
  end
  options = options or {}
  check_options(options)
  local header_table = headers.checked(options.headers)
  local req, refusal = make_request(self, method, path, header_table, body_of(options, header_table), options)
  local status, answer, list, cancelled
  local meter, began = self._app._meter, core.now()
  if meter then rawset(req, "_pattern", "") end
  if refusal then
    status, answer, list = self._app:_refused(req, refusal)
  elseif context.serve then
    status, answer, list, cancelled = context.serve(answer_in_span, req, self._app)
  else
    status, answer, list, cancelled = self._app:_answer(req)
  end
  if cancelled then error(cancelled, 0) end
  local result = setmetatable({ status = status, headers = headers.received(list) }, TestResponse)
  result._values = take_values(list)
  for _, text in ipairs(result:values "set-cookie") do take_cookie(self._cookies, text, req.path) end
  if response.is(answer) and answer.file then
    answer = take_file(answer)
  elseif response.is(answer) then
    if method ~= "HEAD" then answer, result.chunks, result.failed = take_stream(self._app, req, answer) end
  end
  result.body = method == "HEAD" and "" or answer
  if meter then meter:count(method, req._pattern, status, core.now() - began) end
  run_after(req)
  return result
end

-- ---- WebSockets -----------------------------------------------------------------------------------------------------

local known_websocket = {
  headers = "table", query = "table", protocols = "table", max_message = "integer", compress = "boolean",
  ping_interval = "number", idle_timeout = "number",
}

-- The two ends of a connection.
local function connection_pair()
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local near = assert(net.connect("127.0.0.1", listener.port))
  return (stream.release(near)), (stream.release(assert(listener:accept())))
end

-- Runs the handler at the far end, and gives the near one.
local function join(app, req, answer, key, options)
  local agreement = answer.upgrade.agreement
  local near, far = connection_pair()
  core.spawn(function()
    local cancelled, failure, place = websocket.run(answer, req, far, "")
    if failure ~= nil then app:_report(req, failure, place) end
    if cancelled then error(cancelled, 0) end
  end):daemon()
  local handshake = require "braid.websocket.handshake"
  local headers_of, terms = assert(handshake.read(websocket.head(answer, {}), key, options))
  local ws = require("braid.websocket.connection").new(near, "", false, terms, options)
  ws.headers, ws.protocol = headers_of, agreement.protocol
  return ws
end

--- Opens a WebSocket to a handler of `app:websocket`, which runs in a task of the current scope. Suspends.
---@param path string may contain a query
---@param options {headers: table?, query: table?, protocols: string[]?, max_message: integer?, compress: boolean?,
---  ping_interval: number?, idle_timeout: number?}? as of braid.websocket.connect
---@return braid.WebSocket? ws
---@return braid.Error? err kind http, with `status`: it was refused
function TestClient:websocket(path, options)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'websocket' (a string expected, got %s)", errors.described(path))
  end
  options = options or {}
  errors.check_options(1, "websocket", options, known_websocket)
  local lines, key = require("braid.websocket.handshake").request({ place = "localhost", target = path }, options)
  local header_table = headers.checked()
  for name, value in lines:gmatch "\r\n([^:\r\n]+): ([^\r\n]*)" do header_table[name] = value end
  local req, refusal = make_request(self, "GET", path, header_table, "", options)
  local status, answer = refusal, nil
  if not refusal then status, answer = self._app:_answer(req) end
  if status == 101 then return join(self._app, req, answer, key, options) end
  return nil, errors.new("http", ("the application refuses the WebSocket: %d"):format(status), { status = status })
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  TestClient[method] = function(self, path, options) return self:request(method:upper(), path, options) end
end

return M
