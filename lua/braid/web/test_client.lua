-- SPDX-License-Identifier: MIT
-- Calls an application directly, without a server.
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"
local request = require "braid.web.request"
local response = require "braid.web.response"

local M = {}

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

---@param app braid.web.App
---@return braid.web.TestClient
function M.new(app) return setmetatable({ _app = app }, TestClient) end

local function escape(value)
  return (tostring(value):gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function query_text(query)
  local pairs_of = {}
  for name, value in pairs(query) do pairs_of[#pairs_of + 1] = escape(name) .. "=" .. escape(value) end
  return table.concat(pairs_of, "&")
end

local known = { headers = "table", query = "table", body = "string", form = "table" }

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

--- Sends a request. Suspends if the handler does.
---@param method string
---@param path string may contain a query
---@param options {headers: table<string, string>?, query: table<string, any>?, body: string?, json: any,
---  form: table<string, any>?}?
---@return braid.web.TestResponse
function TestClient:request(method, path, options)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'request' (a string expected, got %s)", errors.described(path))
  end
  options = options or {}
  check_options(options)
  local header_table = headers.checked(options.headers)
  local body = options.body or ""
  if options.json ~= nil then
    body = json.encode(options.json)
    header_table["Content-Type"] = header_table["Content-Type"] or "application/json"
  end
  if options.form then
    body = query_text(options.form)
    header_table["Content-Type"] = header_table["Content-Type"] or "application/x-www-form-urlencoded"
  end
  local plain, query = path:match("^([^?]*)%??(.*)$")
  if options.query then query = query_text(options.query) end
  local req = request.made(method, plain, query, header_table, body)
  local status, answer, list, cancelled = self._app:_answer(req)
  if cancelled then error(cancelled, 0) end
  local result = setmetatable({ status = status, headers = headers.received(list) }, TestResponse)
  if response.is(answer) and answer.file then
    answer = take_file(answer)
  elseif response.is(answer) then
    if method ~= "HEAD" then answer, result.chunks, result.failed = take_stream(self._app, req, answer) end
  end
  result.body = method == "HEAD" and "" or answer
  return result
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  TestClient[method] = function(self, path, options) return self:request(method:upper(), path, options) end
end

return M
