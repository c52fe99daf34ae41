-- SPDX-License-Identifier: MIT
-- Names and addresses as LuaSocket's `socket.dns` tells them. All suspend.
local core = require "braid.core"
local object = require "braid.luasocket.object"
local texts = require "braid.luasocket.texts"

local M = {}

function M.gethostname() return core.host_name() end

-- The host's entry: `name`, the lists `alias` and `ip`.
local function host_of(what, address)
  local found, code = core.names("host", object.check_string(what, 1, address))
  if not found then return nil, texts.of_host(code) end
  local host = { alias = {}, ip = {} }
  for _, text in ipairs(found) do
    local mark, value = text:sub(1, 1), text:sub(2)
    if mark == "n" then
      host.name = value
    else
      local list = mark == "a" and host.alias or host.ip
      list[#list + 1] = value
    end
  end
  return host
end

function M.toip(address)
  local host, err = host_of("toip", address)
  if not host then return nil, err end
  return host.ip[1], host
end

function M.tohostname(address)
  local host, err = host_of("tohostname", address)
  if not host then return nil, err end
  return host.name, host
end

function M.getaddrinfo(host)
  host = object.check_string("getaddrinfo", 1, host)
  local found, code, number = core.names("addresses", host)
  if not found then return nil, texts.of_names(code, number) end
  local list = {}
  for i = 1, #found - 2, 3 do list[#list + 1] = { family = found[i], addr = found[i + 1] } end
  return list
end

function M.getnameinfo(host, service)
  if host ~= nil then host = object.check_string("getnameinfo", 1, host) end
  if service ~= nil then service = object.check_string("getnameinfo", 2, service) end
  if not host and not service then error("host and serv cannot be both nil", 2) end
  local found, code, number = core.names("names", host, service)
  if not found then return nil, texts.of_names(code, number) end
  local hosts = {}
  for i = 1, #found, 2 do hosts[#hosts + 1] = host and found[i] or nil end
  if service then return hosts, found[#found] end
  return hosts
end

return M
