-- SPDX-License-Identifier: MIT
-- Calls an application as a server would, but without one.
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"
local request = require "braid.web.request"

local M = {}

---@class braid.web.TestClient
local TestClient = {}
TestClient.__index = TestClient

---@class braid.web.TestResponse
---@field status integer
---@field headers braid.web.Headers names in any spelling
---@field body string
local TestResponse = {}
TestResponse.__index = TestResponse

--- The body, decoded from JSON.
---@return any value nil when it is not JSON
---@return any err
function TestResponse:json()
  local ok, value = pcall(json.decode, self.body)
  if ok then return value end
  return nil, errors.new("http", "the body is not JSON: " .. value)
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

local known = { headers = "table", query = "table", body = "string" }

-- json may be anything that JSON can say.
local function check_options(options)
  local rest = {}
  for name, value in pairs(options) do
    if name ~= "json" then rest[name] = value end
  end
  errors.check_options(1, "request", rest, known)
end

--- Sends a request. Suspends if the handler does.
---@param method string
---@param path string may have a query of its own
---@param options {headers: table<string, string>?, query: table<string, any>?, body: string?, json: any}?
---@return braid.web.TestResponse
function TestClient:request(method, path, options)
  options = options or {}
  check_options(options)
  local header_table = headers.checked(options.headers)
  local body = options.body or ""
  if options.json ~= nil then
    body = json.encode(options.json)
    header_table["Content-Type"] = header_table["Content-Type"] or "application/json"
  end
  local plain, query = path:match("^([^?]*)%??(.*)$")
  if options.query then query = query_text(options.query) end
  local req = request.made(method, plain, query, header_table, body)
  local status, answer, list, cancelled = self._app:_answer(req)
  if cancelled then error(cancelled, 0) end
  if method == "HEAD" then answer = "" end
  return setmetatable({ status = status, body = answer, headers = headers.received(list) }, TestResponse)
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head" } do
  TestClient[method] = function(self, path, options) return self:request(method:upper(), path, options) end
end

return M
