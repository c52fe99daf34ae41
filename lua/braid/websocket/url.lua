-- SPDX-License-Identifier: MIT
-- URLs of WebSockets (RFC 6455, section 3).
local errors = require "braid.errors"

local M = {}

local PORTS = { ws = 80, wss = 443 }

---@class braid.websocket.Url
---@field scheme "ws"|"wss"
---@field host string without brackets
---@field port integer
---@field place string host and port as they stand in the Host header
---@field target string path and query
---@field shown string for messages: without login and query
---@field login string? user:password

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function refuse(url, why)
  errors.misuse(1, "bad argument 'url' to 'connect' (%s, got %q)", why, url)
end

local function check_text(url)
  if type(url) ~= "string" then
    errors.misuse(1, "bad argument 'url' to 'connect' (a string expected, got %s)", errors.described(url))
  end
  if url:find("[^\33-\126]") then refuse(url, "printable ASCII without blanks expected: escape the rest with %XX") end
  if url:find("#", 1, true) then refuse(url, "a WebSocket's URL has no fragment") end
end

-- Splits "host:port" or "[address]:port".
local function host_and_port(url, authority, scheme)
  local host, port = authority:match("^%[([%x:.]+)%]:?(%d*)$")
  if not host then host, port = authority:match("^([^:%[%]@]+):?(%d*)$") end
  local number = host and (port == "" and PORTS[scheme] or math.tointeger(port))
  if not number or number < 1 or number > 65535 then refuse(url, "ws://HOST:PORT/PATH expected") end
  return host, number
end

---Reads a URL. Raises where it is none.
---@param url string
---@return braid.websocket.Url
function M.parse(url)
  check_text(url)
  local scheme, rest = url:match("^(%a+)://(.*)$")
  scheme = scheme and scheme:lower()
  if not PORTS[scheme] then refuse(url, "ws:// or wss:// expected") end
  local authority, target = rest:match("^([^/?]*)(.*)$")
  local login, place = authority:match("^(.*)@([^@]*)$")
  local host, port = host_and_port(url, place or authority, scheme)
  if target:sub(1, 1) ~= "/" then target = "/" .. target end
  place = host:find(":", 1, true) and "[" .. host .. "]" or host
  if port ~= PORTS[scheme] then place = place .. ":" .. port end
  return {
    scheme = scheme, host = host, port = port, login = login and decoded(login), place = place, target = target,
    shown = ("%s://%s%s"):format(scheme, place, target:match("^[^?]*")),
  }
end

return M
