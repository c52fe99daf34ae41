-- SPDX-License-Identifier: MIT
-- What a handler is given. Only the method and the path are there from the beginning: the rest is fetched, or decoded,
-- when it is first touched.
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"
local response = require "braid.web.response"

local M = {}

---@class braid.web.Request
---@field method string "GET" and so on
---@field path string decoded, without the query
---@field query table<string, string> decoded; of a name that comes several times, the first
---@field params table<string, string|integer> what stands in the path where the route has {name}
---@field headers braid.web.Headers names in any spelling
---@field body string
---@field peer string? the client's address
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

--- Decodes %41 and the like; what is not a code stays as it is.
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

function lazy.query(request)
  local query = {}
  for name, value in each_pair(request._query) do
    if query[name] == nil then query[name] = value end
  end
  return query
end

function lazy.params() return {} end

-- Something that only the exchange knows. It is over when the server has been closed under a handler, or the request
-- was kept beyond its answer.
local function ask(request, what)
  local exchange = request._exchange
  local value = exchange and request._server[what](request._server, exchange)
  if value then return value end
  error(errors.new("closed", ("the request is over: its %s must be read before it is answered"):format(what)))
end

function lazy.body(request) return ask(request, "body") end

function lazy.headers(request) return headers.received(ask(request, "headers")) end

function lazy.peer(request) return request._exchange and request._server:peer(request._exchange) end

--- The body, decoded from JSON. A body that is not JSON ends the handler with status 400.
---@return any value null is braid.null
function methods:json()
  local ok, value = pcall(json.decode, self.body)
  if not ok then response.abort(400, "the body is not JSON: " .. tostring(value)) end
  return value
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

--- A request that arrived at a server.
---@param server userdata of braid.serve_core
---@param exchange integer
---@param method string
---@param path string
---@param query string?
---@return braid.web.Request
function M.arrived(server, exchange, method, path, query)
  return setmetatable({ method = method, path = path, _query = query, _server = server, _exchange = exchange }, Request)
end

--- A request that came by no socket.
---@param method string
---@param path string
---@param query string?
---@param header_table braid.web.Headers
---@param body string
---@return braid.web.Request
function M.made(method, path, query, header_table, body)
  local fields = { method = method, path = path, _query = query, headers = header_table, body = body }
  return setmetatable(fields, Request)
end

return M
