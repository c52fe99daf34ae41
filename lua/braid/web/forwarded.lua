-- SPDX-License-Identifier: MIT
-- What named proxies say of the client: X-Forwarded-* or Forwarded (RFC 7239). Nobody else is believed. The lists are
-- read from their end, because only what a proxy has added itself is known to be true.
local errors = require "braid.errors"
local trimmed = require("braid.web.headers").trimmed
local networks = require "braid.web.networks"

local M = {}

---@class braid.web.Proxies
---@field networks braid.web.Network[]
---@field unix boolean clients of Unix sockets are proxies
---@field header string? the only one that is believed

local HEADERS = { forwarded = true, ["x-forwarded-for"] = true }

--- Reads the option: addresses and networks, "unix" for the clients of Unix sockets, and `header`.
---@param level integer as for errors.misuse
---@param what string
---@param list string|table
---@return braid.web.Proxies
function M.read(level, what, list)
  if type(list) == "string" then list = { list } end
  local proxies = { networks = {}, unix = false, header = list.header and tostring(list.header):lower() }
  if proxies.header and not HEADERS[proxies.header] then
    errors.misuse(level + 1, "bad option 'header' to '%s' (\"Forwarded\" or \"X-Forwarded-For\" expected, got %s)",
      what, errors.text(list.header))
  end
  for key, text in pairs(list) do
    local network = type(text) == "string" and networks.network(text)
    if math.type(key) == "integer" and text == "unix" then
      proxies.unix = true
    elseif math.type(key) == "integer" and network then
      table.insert(proxies.networks, network)
    elseif key ~= "header" then
      errors.misuse(level + 1, "bad argument 'proxies' to '%s' (networks like \"10.0.0.0/8\" expected, got %s)", what,
        math.type(key) == "integer" and errors.text(text) or errors.text(key))
    end
  end
  return proxies
end

local function is_proxy(proxies, address)
  if address == nil then return proxies.unix end
  local bytes = networks.bytes(address)
  if not bytes then return false end
  for _, network in ipairs(proxies.networks) do
    if networks.contains(bytes, network) then return true end
  end
  return false
end

-- ---- the headers ----------------------------------------------------------------------------------------------------

-- "192.0.2.1:4711", "[2001:db8::1]:80" -> the address alone; nil: it hides itself, or is none.
local function address_of(text)
  text = text:match '^"(.*)"$' or text
  local inside = text:match "^%[(.-)%]:?%d*$" or text:match "^(%d+%.%d+%.%d+%.%d+):%d+$" or text
  return networks.bytes(inside) and inside or nil
end

local function words_of(text)
  local list = {}
  for word in ((text or "") .. ","):gmatch "([^,]*)," do list[#list + 1] = trimmed(word) end
  if list[#list] == "" then list[#list] = nil end
  return list
end

-- What each proxy has added: `address`, `scheme`, `host`.
local function read_x_forwarded(headers)
  local addresses = words_of(headers["x-forwarded-for"])
  local schemes, hosts = words_of(headers["x-forwarded-proto"]), words_of(headers["x-forwarded-host"])
  local hops = {}
  for i, text in ipairs(addresses) do
    -- a list that is not as long as the addresses' is the last proxy's
    hops[i] = {
      address = address_of(text), scheme = #schemes == #addresses and schemes[i] or schemes[#schemes],
      host = #hosts == #addresses and hosts[i] or hosts[#hosts], port = headers["x-forwarded-port"],
    }
  end
  if not hops[1] and (schemes[1] or hosts[1]) then
    hops[1] = { scheme = schemes[#schemes], host = hosts[#hosts], port = headers["x-forwarded-port"], same = true }
  end
  return hops
end

-- Splits at a separator outside of quotes.
local function split_outside(text, separator)
  local list, piece, quoted, i = {}, {}, false, 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == '"' then quoted = not quoted end
    if c == "\\" and quoted then
      i = i + 1
      c = c .. text:sub(i, i)
    end
    if c == separator and not quoted then
      list[#list + 1], piece = table.concat(piece), {}
    else
      piece[#piece + 1] = c
    end
    i = i + 1
  end
  list[#list + 1] = table.concat(piece)
  return list
end

local function read_forwarded(text)
  local hops = {}
  for _, element in ipairs(split_outside(text, ",")) do
    local pairs_of = {}
    for _, pair in ipairs(split_outside(element, ";")) do
      local name, value = trimmed(pair):match "^([%w-]+)=(.*)$"
      if name then pairs_of[name:lower()] = (value:match '^"(.*)"$' or value):gsub("\\(.)", "%1") end
    end
    hops[#hops + 1] = {
      address = pairs_of["for"] and address_of(pairs_of["for"]), scheme = pairs_of.proto, host = pairs_of.host,
    }
  end
  return hops
end

local function read_hops(proxies, headers)
  if proxies.header ~= "forwarded" then
    local hops = read_x_forwarded(headers)
    if hops[1] or proxies.header then return hops end
  end
  return headers.forwarded and read_forwarded(headers.forwarded) or {}
end

local SCHEMES = { http = "http", https = "https", ws = "http", wss = "https" }

local function host_of(hop)
  local host = hop.host
  if not host or not host:find "^[%w.%-]+:?%d*$" and not host:find "^%[[%x:.]+%]:?%d*$" then return nil end
  local port, scheme = hop.port, SCHEMES[(hop.scheme or ""):lower()]
  local usual = port == "80" and scheme ~= "https" or port == "443" and scheme == "https"
  local named = host:find ":%d+$" and not host:find "^%[[%x:.]+%]$"
  if port and port:find "^%d+$" and not usual and not named then return host .. ":" .. port end
  return host
end

--- What the proxies say of a request: the last address that is no proxy, and the scheme and the host that its proxy
--- saw.
---@param proxies braid.web.Proxies
---@param peer string? nil: a Unix socket's client
---@param headers braid.web.Headers
---@return string? address the peer, if that is no proxy; nil: unknown
---@return string? scheme nil: nothing is said
---@return string? host nil: nothing is said
function M.client(proxies, peer, headers)
  if not is_proxy(proxies, peer) then return peer end
  local hops = read_hops(proxies, headers)
  local at = #hops
  while at > 1 and hops[at].address and is_proxy(proxies, hops[at].address) do at = at - 1 end
  local hop = hops[at]
  if not hop then return peer end
  return hop.same and peer or hop.address or peer, SCHEMES[(hop.scheme or ""):lower()], host_of(hop)
end

return M
