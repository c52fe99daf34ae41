-- SPDX-License-Identifier: MIT
-- UDP sockets: datagrams, each from one sender to one receiver or to a group.
local address = require "braid.io.address"
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local OPTIONS = { reuse_port = "boolean", broadcast = "boolean" }

---A UDP socket. It is closed by `<close>`, and when it is collected.
---@class braid.net.Udp
---@field fd integer? the descriptor; nil after close
---@field private _descriptor userdata
---@field private _family "inet"|"inet6"
---@field private _turn userdata a lock: one task sends at a time
local Udp = { __name = "braid.net.udp" }
Udp.__index = Udp

-- The first address of the host that the socket can send to. An IPv6 socket sends to IPv4 addresses in their IPv6 form.
local function reachable(self, host, port, timeout)
  local addresses, err = core.resolve(host, port, timeout)
  if not addresses then return nil, err end
  for _, each in ipairs(addresses) do
    if address.family_of(each) == self._family then return each end
    if self._family == "inet6" then return core.resolve("::ffff:" .. core.address_text(each), port)[1] end
  end
  return nil, errors.new("system", ("%q has no address of the socket's family, %s"):format(host, self._family))
end

---Sends one datagram. Suspends while there is no room for it, and while it looks up a host name.
---@param data string at most 65507 bytes
---@param host? string a name or an address; may be left out after `connect`
---@param port? integer
---@param timeout? number seconds
---@return true? sent
---@return braid.Error? err kinds: timeout, closed, system
function Udp:send(data, host, port, timeout)
  local deadline, to = errors.deadline(1, "send", timeout), nil
  if type(data) ~= "string" then
    errors.misuse(1, "bad argument 'data' to 'send' (a string expected, got %s)", errors.described(data))
  end
  if host ~= nil or port ~= nil then
    address.check_host("send", host)
    local err
    to, err = reachable(self, host, address.check_port("send", port, 1), timeout)
    if not to then return nil, err end
  end
  local turn <close>, late = self._turn:hold(errors.time_left(deadline))
  if not turn then return nil, late end
  return self._descriptor:send(data, to, errors.time_left(deadline))
end

---Receives the next datagram. Suspends.
---@param timeout? number seconds
---@return string? data may be empty
---@return string|braid.Error host of the sender; or the error, kinds: timeout, closed, system
---@return integer? port of the sender
function Udp:receive(timeout)
  local data, from = self._descriptor:receive(timeout)
  if not data then return nil, from end
  return data, core.address_text(from)
end

---From now on, `send` without a place sends there, and `receive` receives only what comes from there. Suspends while it
---looks up a host name.
---@param host string a name or an address
---@param port integer
---@return true? connected
---@return braid.Error? err kinds: closed, system
function Udp:connect(host, port)
  address.check_host("connect", host)
  local to, err = reachable(self, host, address.check_port("connect", port, 1))
  if not to then return nil, err end
  return self._descriptor:connect(to)
end

local function change(self, join, group, interface)
  local what = join and "join" or "leave"
  if type(group) ~= "string" then
    errors.misuse(2, "bad argument 'group' to '%s' (an address expected, got %s)", what, errors.described(group))
  end
  if interface ~= nil and type(interface) ~= "string" then
    errors.misuse(2, "bad argument 'interface' to '%s' (a name expected, got %s)", what, errors.described(interface))
  end
  address.check_text("group", group)
  local addresses, err = core.resolve(group, 0)
  if not addresses then return nil, err end
  return self._descriptor:member(join, addresses[1], interface)
end

---Joins a group (multicast): the socket also receives what is sent to the group. If an interface is named, the socket
---also sends from there what it sends to groups.
---@param group string the group's address
---@param interface? string its name; default: the system chooses
---@return true? joined
---@return braid.Error? err kinds: closed, system
function Udp:join(group, interface) return change(self, true, group, interface) end

---Leaves a group.
---@param group string
---@param interface? string as for `join`
---@return true? left
---@return braid.Error? err kinds: closed, system
function Udp:leave(group, interface) return change(self, false, group, interface) end

---The socket's own address.
---@return string? host
---@return integer|braid.Error port or the error, kind closed
function Udp:address()
  if not self.fd then return nil, errors.new("closed", "udp:address: it is closed") end
  return core.address_text(self._descriptor:here())
end

---Closes it at once. Waits for it end with kind "closed". Does nothing if it is closed.
function Udp:close()
  self._descriptor:close()
  self.fd = nil
end

Udp.__close = Udp.close

-- Opens it at the first of these addresses at which that is possible.
local function open(addresses, opts)
  local descriptor, err
  for _, each in ipairs(addresses) do
    descriptor, err = core.udp_open(each, opts.reuse_port, opts.broadcast)
    if descriptor then return descriptor end
  end
  return nil, err
end

-- An IPv6 socket at "::" also takes IPv4; a machine without IPv6 has only IPv4.
local function addresses_of(host, port)
  if host and host ~= "*" then return core.resolve(host, port) end
  return { core.resolve("::", port)[1], core.resolve("0.0.0.0", port)[1] }
end

-- See net.lua.
function M.udp(host, port, opts)
  if host ~= nil then address.check_host("udp", host) end
  port = port ~= nil and address.check_port("udp", port, 0) or 0
  errors.check_options(1, "udp", opts, OPTIONS)
  local place = { host = host, port = port }
  local addresses, err = addresses_of(host, port)
  if not addresses then return address.failed("udp", place, err) end
  local descriptor
  descriptor, err = open(addresses, opts or {})
  if not descriptor then return address.failed("udp", place, err) end
  local family = address.family_of(descriptor:here())
  return setmetatable({
    fd = descriptor:fd(), _descriptor = descriptor, _family = family, _turn = core.lock_new(),
  }, Udp)
end

errors.guard(Udp)

return M
