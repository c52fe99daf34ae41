-- SPDX-License-Identifier: MIT
-- What libpq is told of a server: keywords and values. Host names are looked up here, because libpq would block.
local address = require "braid.io.address"
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local NEED = "braid.postgres needs libpq: install it (Debian: libpq-dev) and build braid again"

---The C module. Raises if it is not there.
---@return table
function M.libpq()
  local ok, module = pcall(require, "braid.postgres_core")
  if not ok then errors.misuse(2, "%s (%s)", NEED, tostring(module):match("[^\n]*")) end
  return module
end

-- Our own options, beside libpq's keywords: name -> type.
local OWN = { conninfo = "string", statement_timeout = "number", types = "table" }

local function value_of(what, name, value)
  local kind = type(value)
  if kind == "boolean" then return value and "1" or "0" end
  if kind == "number" then return tostring(math.tointeger(value) or value) end
  if kind ~= "string" then
    errors.misuse(3, "bad option '%s' to '%s' (a string or a number expected, got %s)", name, what,
      errors.described(value))
  end
  return value
end

local function parse(what, text)
  local settings, reason = M.libpq().parse(text)
  if not settings then errors.misuse(3, "bad conninfo of '%s': %s", what, reason:gsub("%s+$", "")) end
  return settings
end

local function check_own(what, opts, further)
  local known = {}
  for _, list in ipairs { OWN, further or {} } do
    for name, expected in pairs(list) do known[name] = expected end
  end
  local _, keywords = M.libpq().defaults()
  for name in pairs(keywords) do known[name] = known[name] or "any" end
  known.user = "any"
  errors.check_options(3, what, opts, known)
  errors.check_seconds(3, what, opts, "statement_timeout")
end

---Reads what `connect` or `pool` was given.
---@param what string the function, for errors
---@param opts string|table|nil
---@param further table<string, string>? more options of our own
---@return table settings for libpq: keyword -> text
---@return table opts
function M.read(what, opts, further)
  if type(opts) == "string" then opts = { opts } end
  if opts ~= nil and type(opts) ~= "table" then
    errors.misuse(2, "bad argument #1 to '%s' (a conninfo or a table expected, got %s)", what, errors.described(opts))
  end
  local given = {}
  for name, value in pairs(opts or {}) do given[name] = value end
  if type(given[1]) == "string" then given.conninfo, given[1] = given[1], nil end
  check_own(what, given, further)
  local settings = given.conninfo and parse(what, given.conninfo) or {}
  for name, value in pairs(given) do
    if not OWN[name] and not (further and further[name]) then settings[name] = value_of(what, name, value) end
  end
  if given.statement_timeout then
    settings.options = ("%s -c statement_timeout=%d"):format(settings.options or "",
      math.max(1, given.statement_timeout * 1000 // 1))
  end
  return settings, given
end

-- ---- host names -----------------------------------------------------------------------------------------------------

local function split(text)
  local list = {}
  for each in ((text or "") .. ","):gmatch("([^,]*),") do list[#list + 1] = each end
  return list
end

-- The addresses of a host; false for one that libpq takes as it is: a folder of sockets, or none.
local function addresses_of(host, timeout)
  if host == "" or host:find("^[/@]") then return false end
  local addresses, err = core.resolve(host, 0, timeout)
  if not addresses then return nil, err end
  local list = {}
  for _, each in ipairs(address.in_turn(addresses)) do list[#list + 1] = core.address_text(each) end
  return list
end

local function append(lists, host, at, port)
  lists.host[#lists.host + 1] = host
  lists.hostaddr[#lists.hostaddr + 1] = at
  lists.port[#lists.port + 1] = port
end

-- One entry for each address of each host.
local function resolve_all(hosts, ports, timeout)
  local lists, failure = { host = {}, hostaddr = {}, port = {} }, nil
  for i, host in ipairs(hosts) do
    local addresses, err = addresses_of(host, timeout)
    local port = ports[i] or ports[1] or ""
    if addresses then
      for _, at in ipairs(addresses) do append(lists, host, at, port) end
    elseif addresses == false then
      append(lists, host, "", port)
    else
      failure = err
    end
  end
  if #lists.host == 0 then return nil, failure end
  return lists
end

---The settings with an address for each host. Suspends.
---@param settings table
---@param timeout number?
---@return table? settings
---@return braid.Error? err
function M.resolved(settings, timeout)
  local defaults = M.libpq().defaults()
  local all = {
    client_encoding = "UTF8", fallback_application_name = "braid", gssencmode = defaults.gssencmode or "disable",
  }
  for name, value in pairs(settings) do all[name] = value end
  local hosts = settings.host or (not settings.hostaddr and defaults.host) or nil
  if not hosts or settings.hostaddr or defaults.hostaddr then return all end
  local lists, err = resolve_all(split(hosts), split(settings.port or defaults.port), timeout)
  if not lists then return nil, err end
  for name, list in pairs(lists) do all[name] = table.concat(list, ",") end
  if all.port:find("^,*$") then all.port = nil end
  return all
end

return M
