-- SPDX-License-Identifier: MIT
-- What the sockets of braid.luasocket have in common: classes, arguments, timeouts, addresses, options.
local core = require "braid.core"
local errors = require "braid.errors"
local texts = require "braid.luasocket.texts"

local M = {}

-- ---- arguments ------------------------------------------------------------------------------------------------------

local ours = debug.getinfo(1, "S").source:match "^(.*[/\\])" -- the folder of this file

-- Raises a text, as LuaSocket does, at the line of the program that has called us.
local function raise(text)
  local level = 2
  while (debug.getinfo(level, "S") or { source = "" }).source:find(ours, 1, true) == 1 do level = level + 1 end
  error(text, level)
end

---Raises for a bad argument.
function M.bad_argument(what, number, text) raise(("bad argument #%d to '%s' (%s)"):format(number, what, text)) end

local function type_of(value) return value == nil and "no value" or type(value) end

function M.check_string(what, number, value, default)
  if value == nil and default ~= nil then return default end
  if type(value) == "string" then return value end
  if type(value) == "number" then return (("%.14g"):format(value)) end
  M.bad_argument(what, number, ("string expected, got %s"):format(type_of(value)))
end

function M.check_number(what, number, value, default)
  if value == nil and default ~= nil then return default end
  local found = tonumber(value)
  if found then return found end
  M.bad_argument(what, number, ("number expected, got %s"):format(type_of(value)))
end

-- ---- classes --------------------------------------------------------------------------------------------------------

---Makes the classes of one kind of socket: they share their methods. An object changes its class as it is used.
---@param names string[] "tcp{master}" ...
---@param methods table<string, function>
---@return table<string, table> class by name
function M.classes(names, methods)
  local made = {}
  for _, name in ipairs(names) do
    local index = setmetatable({ class = name }, nil)
    for method, fn in pairs(methods) do index[method] = fn end
    made[name] = {
      __name = name, __index = index, __close = methods.close,
      __tostring = function(self) return ("%s: %s"):format(name, self._name) end,
    }
  end
  return made
end

---A new object of a class.
function M.new(class, fields)
  fields._name = tostring(fields):match "0x%x+" or tostring(fields)
  fields._block, fields._total, fields._start = -1, -1, 0
  return setmetatable(fields, class)
end

---Raises if the object is not of this class.
function M.check(self, class, what)
  if getmetatable(self) ~= class then
    raise(("calling '%s' on bad self (%s expected)"):format(what, class.__name))
  end
end

-- ---- timeouts -------------------------------------------------------------------------------------------------------

---Marks the beginning of a call.
function M.start(self)
  if self._block >= 0 or self._total >= 0 then self._start = core.now() end
end

---The seconds that a wait may take; nil: no limit. A limit for each wait and one for the whole call count from the
---beginning of the call, but if there are both, the first counts for each wait anew.
function M.time_left(self)
  local block, total = self._block, self._total
  if block < 0 and total < 0 then return nil end
  if block == 0 then return 0 end
  local gone = core.now() - self._start
  if total < 0 then return math.max(block - gone, 0) end
  local left = math.max(total - gone, 0)
  return block >= 0 and math.min(block, left) or left
end

local shared = {}
M.shared = shared -- methods of all kinds of sockets

function shared:settimeout(value, mode)
  local seconds = M.check_number("settimeout", 1, value, -1)
  mode = M.check_string("settimeout", 2, mode, "b"):sub(1, 1)
  if mode == "b" then
    self._block = seconds
  elseif mode == "t" or mode == "r" then
    self._total = seconds
  else
    M.bad_argument("settimeout", 2, "invalid timeout mode")
  end
  return 1.0
end

function shared:gettimeout() return self._block + 0.0, self._total + 0.0 end

-- ---- descriptors ----------------------------------------------------------------------------------------------------

function shared:getfd()
  local descriptor = self._descriptor
  return (descriptor and descriptor:fd() or -1) + 0.0
end

function shared:setfd(fd)
  fd = M.check_number("setfd", 1, fd)
  if self._descriptor then self._descriptor:let_go() end
  self._descriptor = fd >= 0 and core.socket_adopt(math.tointeger(fd)) or nil
end

function shared:close()
  local descriptor = self._descriptor
  self._descriptor = nil
  if descriptor then descriptor:close() end
  return 1.0
end

function shared:getfamily() return self._family == "inet6" and "inet6" or "inet4" end

-- An address as LuaSocket returns it. (The core shows an IPv4 address that an IPv6 socket has seen as IPv4.)
function M.address_text(address)
  local host, port = core.address_text(address)
  if #core.address_bytes(address) == 4 then return host, port, "inet" end
  return host:find(":", 1, true) and host or "::ffff:" .. host, port, "inet6"
end

local function name_of(self, method)
  local descriptor = self._descriptor
  if not descriptor then return nil, texts.BAD_DESCRIPTOR end
  local address, err = descriptor[method](descriptor)
  if not address then return nil, texts.of(err) end
  if self._family == "unix" then return (core.address_text(address)) end
  return M.address_text(address)
end

function shared:getsockname() return name_of(self, "here") end

function shared:getpeername() return name_of(self, "there") end

-- ---- addresses ------------------------------------------------------------------------------------------------------

-- The addresses of a host and a service as a list of families and addresses. Suspends.
local function addresses_of(self, host, service, passive)
  if self._family == "unix" then
    local address, err = core.unix_address(host)
    if not address then return nil, texts.of(err) end
    return { { family = "unix", address = address } }
  end
  if host == "*" then host = nil end
  local family = self._family or "unspec"
  local found, code, number = core.names("addresses", host, service, family, self._type, passive)
  if not found then return nil, texts.of_names(code, number) end
  local list = {}
  for i = 1, #found - 2, 3 do
    list[#list + 1] = { family = found[i], address = core.resolve(found[i + 1], math.tointeger(found[i + 2]))[1] }
  end
  return list
end

---Makes the system's socket, of this family.
function M.create(self, family)
  if self._descriptor and self._family == family then return true end
  if self._descriptor then self._descriptor:close() end
  local descriptor, err = core.socket_new(family, self._type)
  self._descriptor = descriptor
  if not descriptor then return nil, texts.of(err) end
  self._family = family
  return true
end

---Binds to the first address of the host where that is possible. Suspends.
---@return string? err
function M.bind(self, host, service)
  local list, err = addresses_of(self, host, service, true)
  for _, each in ipairs(list or {}) do
    local made, failure = M.create(self, each.family)
    err = failure
    if made then
      made, failure = self._descriptor:bind(each.address)
      if made then return nil end
      err = texts.of(failure)
    end
  end
  return err
end

---Connects to the first address of the host where that is possible. Suspends.
---@return string? err
function M.connect(self, host, service)
  local list, err = addresses_of(self, host, service, false)
  for _, each in ipairs(list or {}) do
    M.start(self)
    local made, failure = M.create(self, each.family)
    err = failure
    if made then
      made, failure = self._descriptor:dial(each.address, M.time_left(self))
      if made then return nil end
      err = texts.of(failure)
      if self._block == 0 then return err end
    end
  end
  return err
end

-- ---- options --------------------------------------------------------------------------------------------------------

local function check_kind(name, allowed, what)
  local kind = allowed[name] and core.socket_option(name)
  if kind then return kind end
  M.bad_argument(what, 1, ("unsupported option `%s'"):format(name:sub(1, 35)))
end

local SETTERS = {}

function SETTERS.flag(value)
  if type(value) ~= "boolean" then
    M.bad_argument("setoption", 2, ("boolean expected, got %s"):format(type_of(value)))
  end
  return value and 1 or 0
end

function SETTERS.number(value) return math.tointeger(tonumber(value) or 0) or 0 end

local function check_table(value)
  if type(value) ~= "table" then
    M.bad_argument("setoption", 2, ("table expected, got %s"):format(type_of(value)))
  end
end

function SETTERS.linger(value)
  check_table(value)
  if type(value.on) ~= "boolean" then M.bad_argument("setoption", 2, "boolean 'on' field expected") end
  if type(value.timeout) ~= "number" then M.bad_argument("setoption", 2, "number 'timeout' field expected") end
  return value.on and 1 or 0, value.timeout // 1 | 0
end

function SETTERS.interface(value) return 0, 0, M.check_string("setoption", 2, value) end

function SETTERS.group(value)
  check_table(value)
  if type(value.multiaddr) ~= "string" then M.bad_argument("setoption", 2, "string 'multiaddr' field expected") end
  if type(value.interface) ~= "string" then M.bad_argument("setoption", 2, "string 'interface' field expected") end
  return 0, 0, value.multiaddr, value.interface
end

function SETTERS.group6(value)
  check_table(value)
  if type(value.multiaddr) ~= "string" then M.bad_argument("setoption", 2, "string 'multiaddr' field expected") end
  return math.tointeger(value.interface or 0), 0, value.multiaddr
end

---The methods setoption and getoption of a kind of socket.
---@param names string[] of the options that it has
function M.options(methods, names)
  local allowed = {}
  for _, name in ipairs(names) do allowed[name] = true end

  function methods:setoption(name, value)
    local setter = SETTERS[check_kind(M.check_string("setoption", 1, name), allowed, "setoption")]
    if not setter then M.bad_argument("setoption", 1, ("unsupported option `%s'"):format(name)) end
    local descriptor = self._descriptor
    if descriptor and descriptor:set_option(name, setter(value)) then return 1.0 end
    if not descriptor then setter(value) end
    return nil, "setsockopt failed"
  end

  function methods:getoption(name)
    local kind = check_kind(M.check_string("getoption", 1, name), allowed, "getoption")
    local descriptor, number, seconds = self._descriptor, nil, nil
    if descriptor then number, seconds = descriptor:get_option(name) end
    if not number then return nil, "getsockopt failed" end
    if kind == "flag" then return number ~= 0 end
    if kind == "linger" then return { on = number ~= 0, timeout = seconds } end
    if kind == "error" then return number ~= 0 and texts.of_system(number) or nil end
    return number + 0.0
  end
end

-- An open socket is of its own state.
function M.refuse_to_be_sent(self)
  core.rethrow(errors.new("not_sendable", ("a socket cannot be sent (%s)"):format(tostring(self))))
end

return M
