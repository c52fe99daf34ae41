-- SPDX-License-Identifier: MIT
-- Places to connect to or to listen at, as arguments; their addresses; and what errors say of them.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local RANGES = { backlog = { 1, 0x7fffffff }, max_line = { 1, math.maxinteger }, keepalive = { 1, 32767 } }

---Refuses a text that the system would cut, or not take at all.
---@param name string of the argument
---@param value string
function M.check_text(name, value)
  if value == "" or value:find("\0", 1, true) then
    errors.misuse(1, "bad argument '%s' (it is empty or contains a zero byte)", name)
  end
end

---Refuses what is no name or address of a host.
---@param what string the function, for the message
---@param host any
function M.check_host(what, host)
  if type(host) ~= "string" then
    errors.misuse(1, "bad argument 'host' to '%s' (a name or an address expected, got %s)", what,
      errors.described(host))
  end
  M.check_text("host", host)
end

---Refuses what is no port; returns it as an integer.
---@param what string the function, for the message
---@param port any
---@param least integer
---@return integer
function M.check_port(what, port, least)
  local number = type(port) == "number" and math.tointeger(port)
  if not number or number < least or number > 65535 then
    errors.misuse(1, "bad argument 'port' to '%s' (a number up to 65535 expected, got %s)", what,
      errors.described(port))
  end
  return number
end

---Checks (host, port, opts), or a single table, and makes one table of them.
---@param what string the function, for the message
---@param known table<string, string> the options
---@param least integer the lowest port; from 1 on, a host must be given
---@return table
function M.place_of(what, known, least, host, port, opts)
  local place = {}
  if type(host) == "table" then
    if port ~= nil then errors.misuse(1, "bad argument #2 to '%s' (a table with the place stands alone)", what) end
    opts, host = host, nil
  end
  errors.check_options(1, what, opts, known)
  errors.check_ranges(1, what, opts, RANGES)
  for name, value in pairs(opts or {}) do place[name] = value end
  if host ~= nil then place.host = host end
  if port ~= nil then place.port = port end
  if place.unix then
    if place.host or place.port then errors.misuse(1, "bad arguments to '%s' (host and port, or unix)", what) end
    M.check_text("unix", place.unix)
    return place
  end
  if place.host ~= nil or least > 0 then M.check_host(what, place.host) end
  place.port = M.check_port(what, place.port, least)
  return place
end

---The place as a text, for messages.
---@return string
function M.text_of(place)
  if place.unix then return place.unix end
  local host = place.host or "*"
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, place.port)
end

---Returns nil and the error, with the place in its message.
---@param what string the function
---@param err braid.Error
---@return nil
---@return braid.Error
function M.failed(what, place, err)
  local text = err.message:gsub("^%l+: ", "")
  return nil, errors.new(err.kind, ("net.%s %s: %s"):format(what, M.text_of(place), text), {
    code = err.code, status = err.status, reason = err.reason, peer = err.peer,
  })
end

---Whether the place means this machine, by all families of addresses that it has.
function M.has_all_families(place)
  return not place.unix and (place.host == nil or place.host == "*" or place.host:lower() == "localhost")
end

---The addresses of a place, in the order of the system. Suspends.
---@param timeout number?
---@return string[]? addresses
---@return braid.Error? err
function M.addresses_of(place, timeout)
  if not place.unix then return core.resolve(place.host ~= "*" and place.host or nil, place.port, timeout) end
  local address, err = core.unix_address(place.unix)
  if not address then return nil, err end
  return { address }
end

---@param address string of a TCP or UDP socket
---@return "inet"|"inet6"
function M.family_of(address) return core.address_text(address):find(":", 1, true) and "inet6" or "inet" end

---The same addresses, but those of the two families in turn, beginning with that of the first (RFC 8305).
---@param addresses string[]
---@return string[]
function M.in_turn(addresses)
  local families, order, mixed = { inet = {}, inet6 = {} }, {}, {}
  for _, address in ipairs(addresses) do
    local list = families[M.family_of(address)]
    if #list == 0 then order[#order + 1] = list end
    list[#list + 1] = address
  end
  for i = 1, #addresses do
    for _, list in ipairs(order) do mixed[#mixed + 1] = list[i] end
  end
  return mixed
end

local RESOLVE_OPTIONS = { family = "string", timeout = "number" }

-- See net.lua.
function M.resolve(name, opts)
  if type(name) ~= "string" then
    errors.misuse(1, "bad argument 'name' to 'resolve' (a text expected, got %s)", errors.described(name))
  end
  M.check_text("name", name)
  errors.check_options(1, "resolve", opts, RESOLVE_OPTIONS)
  local family, timeout = opts and opts.family, opts and opts.timeout
  if family and family ~= "inet" and family ~= "inet6" then
    errors.misuse(1, "bad option 'family' of 'resolve' (\"inet\" or \"inet6\" expected, got %q)", family)
  end
  errors.deadline(1, "resolve", timeout)
  local addresses, err = core.resolve(name, 0, timeout)
  if not addresses then return nil, err end
  local list = {}
  for _, address in ipairs(addresses) do
    local found = { address = core.address_text(address), family = M.family_of(address) }
    if not family or family == found.family then list[#list + 1] = found end
  end
  if list[1] then return list end
  return nil, errors.new("system", ("%q has no address of family %s"):format(name, family))
end

return M
