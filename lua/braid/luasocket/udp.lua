-- SPDX-License-Identifier: MIT
-- UDP sockets as LuaSocket has them.
local core = require "braid.core"
local object = require "braid.luasocket.object"
local texts = require "braid.luasocket.texts"

local M = { _DATAGRAMSIZE = 8192 }

local methods = {}
for name, method in pairs(object.shared) do methods[name] = method end

local Connected, Unconnected

-- A peer that has closed is told differently of datagrams.
local function text_of(err)
  local text = texts.of(err)
  return text == "closed" and "refused" or text
end

local function send(self, data, to)
  object.start(self)
  if not self._descriptor then return nil, "refused" end
  local sent, err = self._descriptor:send(data, to, object.time_left(self))
  if not sent then return nil, text_of(err) end
  return #data + 0.0
end

function methods:send(data)
  object.check(self, Connected, "send")
  return send(self, object.check_string("send", 1, data), nil)
end

function methods:sendto(data, host, service)
  object.check(self, Unconnected, "sendto")
  data, host = object.check_string("sendto", 1, data), object.check_string("sendto", 2, host)
  local port = math.tointeger(tonumber(object.check_string("sendto", 3, service)))
  local addresses = host:find "^[%x:.%%]+" and port and port >= 0 and port < 65536 and core.resolve(host, port, 0)
  local address = addresses and addresses[1]
  if not address then return nil, "Name or service not known" end
  local family = #core.address_bytes(address) == 4 and "inet" or "inet6"
  if not self._descriptor then
    local made, err = object.create(self, family)
    if not made then return nil, err end
  end
  return send(self, data, address)
end

local function receive(self, what, size)
  size = object.check_number(what, 1, size, M._DATAGRAMSIZE)
  object.start(self)
  if not self._descriptor then return nil, "refused" end
  local data, from = self._descriptor:receive(object.time_left(self))
  if not data then return nil, text_of(from) end
  return data:sub(1, size // 1 | 0), from
end

function methods:receive(size)
  local data, from = receive(self, "receive", size)
  if not data then return nil, from end
  return data
end

function methods:receivefrom(size)
  object.check(self, Unconnected, "receivefrom")
  local data, from = receive(self, "receivefrom", size)
  if not data then return nil, from end
  local host, port = object.address_text(from)
  return data, host, port
end

function methods:setpeername(host, service)
  host = object.check_string("setpeername", 1, host)
  if host == "*" then
    if self._descriptor then self._descriptor:undial() end
    setmetatable(self, Unconnected)
    return 1.0
  end
  local err = object.connect(self, host, object.check_string("setpeername", 2, service))
  if err then return nil, err end
  setmetatable(self, Connected)
  return 1.0
end

function methods:setsockname(host, service)
  object.check(self, Unconnected, "setsockname")
  local err = object.bind(self, object.check_string("setsockname", 1, host),
    object.check_string("setsockname", 2, service))
  if err then return nil, err end
  return 1.0
end

function methods:getpeername()
  object.check(self, Connected, "getpeername")
  return object.shared.getpeername(self)
end

function methods.dirty() return false end

object.options(methods, {
  "dontroute", "broadcast", "reuseaddr", "reuseport", "ip-multicast-if", "ip-multicast-ttl", "ip-multicast-loop",
  "ip-add-membership", "ip-drop-membership", "ipv6-unicast-hops", "ipv6-multicast-hops", "ipv6-multicast-loop",
  "ipv6-add-membership", "ipv6-drop-membership", "ipv6-v6only", "recv-buffer-size", "send-buffer-size", "error",
})

local classes = object.classes({ "udp{connected}", "udp{unconnected}" }, methods)
Connected, Unconnected = classes["udp{connected}"], classes["udp{unconnected}"]
for _, class in pairs(classes) do class.__braid_pack = object.refuse_to_be_sent end

local function new(family)
  local self = object.new(Unconnected, { _type = "dgram" })
  if family then
    local made, err = object.create(self, family)
    if not made then return nil, err end
  end
  return self
end

function M.udp() return new() end

function M.udp4() return new "inet" end

function M.udp6() return new "inet6" end

return M
