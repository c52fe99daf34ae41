-- SPDX-License-Identifier: MIT
-- The module that `require "socket"` gives after install.
local core = require "braid.core"
local dns = require "braid.luasocket.dns"
local except = require "braid.luasocket.except"
local object = require "braid.luasocket.object"
local select_module = require "braid.luasocket.select"
local tcp = require "braid.luasocket.tcp"
local udp = require "braid.luasocket.udp"

local M = {
  _VERSION = "LuaSocket 3.0.0", _SOCKETINVALID = -1, _SETSIZE = select_module._SETSIZE,
  _DATAGRAMSIZE = udp._DATAGRAMSIZE, BLOCKSIZE = 2048,
  dns = dns, select = select_module.select, newtry = except.newtry, try = except.try, protect = except.protect,
  tcp = tcp.tcp, tcp4 = tcp.tcp4, tcp6 = tcp.tcp6, connect = tcp.connect,
  udp = udp.udp, udp4 = udp.udp4, udp6 = udp.udp6,
  sourcet = {}, sinkt = {},
}

function M.__unload() return 0 end

function M.gettime() return core.wall_time() end

function M.sleep(seconds)
  seconds = object.check_number("sleep", 1, seconds)
  if seconds > 0 then core.sleep(seconds) else core.checkpoint() end
end

function M.skip(count, ...)
  return select(object.check_number("skip", 1, count) // 1 + 1 | 0, ...)
end

function M.connect4(host, service, lhost, lservice) return tcp.connect(host, service, lhost, lservice, "inet") end

function M.connect6(host, service, lhost, lservice) return tcp.connect(host, service, lhost, lservice, "inet6") end

-- A server socket at the first of these addresses.
local function listen_at(each, port, backlog)
  local server, err = (each.family == "inet" and tcp.tcp4 or tcp.tcp6)()
  if not server then return nil, err end
  server:setoption("reuseaddr", true)
  local ok
  ok, err = server:bind(each.addr, port)
  if ok then ok, err = server:listen(backlog) end
  if ok then return server end
  server:close()
  return nil, err
end

function M.bind(host, port, backlog)
  local list, err = dns.getaddrinfo(host == "*" and "0.0.0.0" or host)
  for _, each in ipairs(list or {}) do
    local server, failure = listen_at(each, port, backlog)
    if server then return server end
    err = failure
  end
  return nil, err or "no info on address"
end

-- ---- sources and sinks ----------------------------------------------------------------------------------------------

---A function that chooses a maker by its name, the first argument; "default" without one.
function M.choose(makers)
  return function(name, first, second)
    if type(name) ~= "string" then name, first, second = "default", name, first end
    local make = makers[name]
    if not make then error(("unknown key (%s)"):format(name), 3) end
    return make(first, second)
  end
end

-- A source or a sink: a function that also tells the socket's descriptor, for select.
local function on_socket(sock, fn)
  return setmetatable({
    getfd = function() return sock:getfd() end,
    dirty = function() return sock:dirty() end,
  }, { __call = function(_, ...) return fn(...) end })
end

M.sinkt["keep-open"] = function(sock)
  return on_socket(sock, function(chunk) return chunk == nil and 1 or sock:send(chunk) end)
end

M.sinkt["close-when-done"] = function(sock)
  return on_socket(sock, function(chunk)
    if chunk then return sock:send(chunk) end
    sock:close()
    return 1
  end)
end

M.sourcet["by-length"] = function(sock, length)
  return on_socket(sock, function()
    if length <= 0 then return nil end
    local chunk, err = sock:receive(math.min(M.BLOCKSIZE, length))
    if err then return nil, err end
    length = length - #chunk
    return chunk
  end)
end

M.sourcet["until-closed"] = function(sock)
  local done = false
  return on_socket(sock, function()
    if done then return nil end
    local chunk, err, partial = sock:receive(M.BLOCKSIZE)
    if not err then return chunk end
    if err ~= "closed" then return nil, err end
    sock:close()
    done = true
    return partial
  end)
end

M.sinkt.default, M.sourcet.default = M.sinkt["keep-open"], M.sourcet["until-closed"]
M.sink, M.source = M.choose(M.sinkt), M.choose(M.sourcet)

return M
