-- SPDX-License-Identifier: MIT
-- Sockets: streams over TCP and Unix sockets, as a client and as a server.
local address = require "braid.io.address"
local core = require "braid.core"
local errors = require "braid.errors"
local proxy = require "braid.io.proxy"
local scope = require "braid.tasks.scope"
local stream = require "braid.io.stream"
local udp = require "braid.io.udp"

local failed, time_left = address.failed, address.time_left

local M = {}

local STAGGER = 0.25 -- seconds until the next address is tried in parallel (RFC 8305)
local PAUSE = 0.005 -- seconds until a Unix socket whose backlog is full is tried again
local REST = 0.1 -- seconds until a listener tries again that has found no free descriptor
local LINE = 1024 -- default backlog: connections that may wait to be accepted
local LONGEST = 1 << 20 -- default max_line: bytes of a line
local TRIES = 20 -- to find a port that is free in both families

local CONNECT_OPTIONS = {
  host = "string", port = "integer", unix = "string", timeout = "number", max_line = "integer", nodelay = "boolean",
  keepalive = "boolean|integer", bind = "string", proxy = "string",
}
local LISTEN_OPTIONS = {
  host = "string", port = "integer", unix = "string", backlog = "integer", reuse_port = "boolean", v6only = "boolean",
  max_line = "integer",
}

---Asks for the addresses of a name. Suspends.
---@param name string
---@param opts? {family: "inet"|"inet6"?, timeout: number?}
---@return {address: string, family: "inet"|"inet6"}[]? list in the order in which to try them
---@return braid.Error? err kinds: timeout, system
M.resolve = address.resolve

---Opens a UDP socket: `net.udp("127.0.0.1", 5353)`; `net.udp()` for one that takes a free port at all addresses of both
---families. opts.reuse_port: other sockets with this option may use the same port. opts.broadcast: it may send to
---broadcast addresses. Suspends while it looks up a host name.
---@param host string? its own address; nil or "*": all of this machine
---@param port integer? nil or 0: a free one
---@param opts {reuse_port: boolean?, broadcast: boolean?}?
---@return braid.net.Udp? udp
---@return braid.Error? err kind system (with `code`, the error number)
M.udp = udp.udp

-- ---- streams --------------------------------------------------------------------------------------------------------

---A connection: a braid.Stream (read, read_some, lines, write, close) with additional methods for sockets.
---@class braid.net.Stream: braid.Stream
---@field private _address string of the peer
local Stream = {}
for name, method in pairs(stream.Stream) do Stream[name] = method end
Stream._most = LONGEST
Stream.__name = "braid.net.stream"
Stream.__index = Stream

---Ends writing: the peer reads the end of the stream. This side can still read.
---@return true? done
---@return braid.Error? err kinds: closed, system
function Stream:shutdown() return self._descriptor:shutdown() end

---The address of the peer, also after the end of the connection.
---@return string host or path; "" for an unnamed Unix socket
---@return integer? port nil for a unix socket
function Stream:peer() return core.address_text(self._address) end

local function stream_of(descriptor, peer, max_line)
  local made = stream.new(descriptor, Stream)
  made._address, made._most = peer, max_line
  return made
end

-- ---- connecting -----------------------------------------------------------------------------------------------------

local function is_full(err) return err and err.kind == "system" and err.code == core.EAGAIN end

-- How to make a socket: what the core wants to know.
local function options_of(place)
  local options = { nodelay = place.nodelay ~= false, keepalive = place.keepalive or 0 }
  if place.keepalive == true then options.keepalive = -1 end
  if place.bind then
    address.check_text("bind", place.bind)
    local addresses, err = core.resolve(place.bind, 0)
    if not addresses then return nil, err end
    options.from = addresses[1]
  end
  return options
end

-- A Unix socket whose backlog is full fails at once, so it is tried again.
local function try_one(to, options, deadline)
  local function try()
    return core.socket_connect(to, options.from, options.nodelay, options.keepalive, time_left(deadline))
  end
  local descriptor, err = try()
  while is_full(err) do
    if time_left(deadline) == 0 then return nil, errors.new("timeout", "timed out") end
    core.sleep(PAUSE)
    descriptor, err = try()
  end
  return descriptor, descriptor and to or err
end

-- Tries all addresses. The next one starts a moment after the one before, or when that has failed. The first connection
-- is used.
local function try_all(addresses, options, deadline)
  local changed, trying = core.event_new(), 0
  local winner, where, failure
  local function try(to)
    local descriptor, err = try_one(to, options, deadline)
    trying = trying - 1
    if not descriptor then
      failure = failure or err
    elseif winner then
      descriptor:close()
    else
      winner, where = descriptor, to
    end
    changed:set()
  end
  scope.scope(function(tasks)
    for _, to in ipairs(addresses) do
      trying = trying + 1
      changed:clear()
      tasks:spawn(try, to)
      changed:wait(STAGGER)
      if winner then break end
    end
    while not winner and trying > 0 do
      changed:clear()
      changed:wait()
    end
    tasks:cancel()
  end)
  return winner, where or failure
end

-- The addresses to try, in this order: only those of the family from which the connection is to come.
local function addresses_of(place, options)
  local addresses, err = address.addresses_of(place, place.timeout)
  if not addresses or place.unix then return addresses, err end
  if not options.from then return address.in_turn(addresses) end
  local list, family = {}, address.family_of(options.from)
  for _, each in ipairs(addresses) do
    if address.family_of(each) == family then list[#list + 1] = each end
  end
  if list[1] then return list end
  return nil, errors.new("system", ("it has no address of the family of %s"):format(place.bind))
end

local function connect_to(place, deadline)
  local options, err = options_of(place)
  if not options then return nil, err end
  local addresses
  addresses, err = addresses_of(place, options)
  if not addresses then return nil, err end
  local descriptor, peer
  if #addresses == 1 then
    descriptor, peer = try_one(addresses[1], options, deadline)
  else
    descriptor, peer = try_all(addresses, options, deadline)
  end
  if not descriptor then return nil, peer end
  return stream_of(descriptor, peer, place.max_line)
end

local function connect_through(through, place, deadline)
  local nearer = setmetatable({ host = through.host, port = through.port }, { __index = place })
  local made, err = connect_to(nearer, deadline)
  if not made then
    local text = ("the proxy %s: %s"):format(address.text_of(nearer), err.message)
    return nil, errors.new(err.kind, text, { code = err.code })
  end
  local function left() return time_left(deadline) end
  local ok, opened, failure = pcall(proxy.open, made, through, place.host, place.port, left)
  if ok and opened then return made end
  made:close()
  if not ok then core.rethrow(opened) end
  return nil, failure
end

---Connects: `net.connect("example.org", 80)`, `net.connect{ unix = "/run/some.sock" }`. Tries all the addresses, a
---quarter of a second apart, IPv6 and IPv4 in turn; the first that answers wins. A path that begins with `@` is an
---abstract Unix socket. opts.timeout: seconds for everything; default: as long as the system tries. opts.max_line: the
---longest line that the stream reads, in bytes; default 1 MiB. opts.nodelay = false: small pieces wait for each other.
---opts.keepalive: true, or after how many seconds of silence the system asks whether the peer is there.
---opts.bind: the local address. opts.proxy: the URL of a proxy that connects for us: "http://host:port" (CONNECT),
---"socks5://host:port", or "socks5h://host:port" (it also looks up the name); `user:password@` may stand before the
---host. Suspends.
---@param host string|table a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {timeout: number?, max_line: integer?, nodelay: boolean?, keepalive: boolean|integer?, bind: string?,
--- proxy: string?}?
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, system (with `code`, the error number), proxy (from an HTTP proxy with
--- `status`), closed and limit (by a proxy)
function M.connect(host, port, opts)
  local place = address.place_of("connect", CONNECT_OPTIONS, 1, host, port, opts)
  local deadline = errors.deadline(1, "connect", place.timeout)
  if place.unix and (place.proxy or place.bind) then
    errors.misuse(1, "bad option '%s' of 'connect' (not for a unix socket)", place.proxy and "proxy" or "bind")
  end
  local through = place.proxy and proxy.parse(place.proxy)
  local made, err
  if through then
    made, err = connect_through(through, place, deadline)
  else
    made, err = connect_to(place, deadline)
  end
  if made then return made end
  return failed("connect", place, err)
end

-- ---- listening ------------------------------------------------------------------------------------------------------

---A socket that accepts connections. A `<close>` variable is closed at the end of its block.
---`for stream in listener do` accepts one connection after the other until the listener is closed; it raises other
---errors.
---@class braid.net.Listener
---@field host string? the address; nil for a unix socket
---@field port integer? the port, also if 0 was given
---@field path string? of a Unix socket; its file is removed when the listener is closed
---@field fd integer? the descriptor; nil after close
---@field private _descriptor userdata
---@field private _second userdata? the socket of the other family
---@field private _turn boolean? the second one is asked first
---@field private _place table
---@field private _reported boolean? that no descriptor was free
local Listener = { __name = "braid.net.listener" }
Listener.__index = Listener

local function is_out_of_descriptors(err) return err.code == core.EMFILE or err.code == core.ENFILE end

local function report(self, err)
  if self._reported then return end
  self._reported = true
  io.stderr:write(("braid: the listener at %s pauses: %s\n"):format(address.text_of(self._place), err.message))
end

---Accepts the next connection. Where this process has no free descriptor, it waits until there is one, and says so once
---on stderr. Suspends.
---@param timeout number? seconds
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, closed, system
function Listener:accept(timeout)
  local deadline = errors.deadline(1, "accept", timeout)
  while true do
    self._turn = not self._turn
    local descriptor, peer = self._descriptor:accept(self._second, self._turn, time_left(deadline))
    if descriptor then return stream_of(descriptor, peer, self._place.max_line) end
    if not is_out_of_descriptors(peer) then return nil, peer end
    report(self, peer)
    local left = time_left(deadline)
    if left == 0 then return nil, errors.new("timeout", "listener:accept: timed out: no descriptor is free") end
    core.sleep(left and left < REST and left or REST)
  end
end

function Listener:__call()
  local accepted, err = self:accept()
  if err and err.kind ~= "closed" then error(err, 0) end
  return accepted
end

---Closes it at once, without waiting. Waiting accepts end with kind "closed". Accepted connections stay open. Does
---nothing if it is closed.
function Listener:close()
  if self.fd and self.path and self.path:sub(1, 1) ~= "@" then os.remove(self.path) end
  self._descriptor:close()
  if self._second then self._second:close() end
  self.fd = nil
end

Listener.__close = Listener.close

local function listen_at(place, at, v6only)
  return core.socket_listen(at, place.backlog or LINE, place.reuse_port, v6only)
end

-- Listens at the port of the first descriptor, but in the other family. Returns nothing where the machine has no
-- address of that family.
local function listen_beside(place, first)
  local host, port = core.address_text(first:here())
  local addresses, err = address.addresses_of { host = place.host, port = port }
  if not addresses then return nil, err end
  for _, other in ipairs(addresses) do
    if other ~= first:here() and core.address_text(other) ~= host then
      local second, why = listen_at(place, other, true)
      if second or why.code == core.EADDRINUSE then return second, why end
    end
  end
end

-- Returns one descriptor, or two: one for each family; nil and the error.
local function listen(place, addresses)
  local both, err = address.has_all_families(place), nil
  for _ = 1, both and place.port == 0 and TRIES or 1 do
    local first, second
    first, err = listen_at(place, addresses[1], both or place.v6only)
    if not first then return nil, err end
    if not both then return first end
    second, err = listen_beside(place, first)
    if not err then return first, second end
    first:close()
  end
  return nil, err
end

---Listens: `net.listen("127.0.0.1", 0)`, `net.listen{ unix = "/run/some.sock" }`. Host nil or "*" means all addresses
---of this machine, IPv4 and IPv6, and "localhost" both loopback addresses; port 0 means a free one. A path that begins
---with `@` is an abstract Unix socket. A Unix socket's file at which nobody listens any more is replaced.
---opts.backlog: connections that may wait to be accepted, default 1024. opts.reuse_port: other sockets with this option
---may listen at the same port, and the system spreads the connections. opts.v6only: whether an IPv6 address takes no
---IPv4 connections. opts.max_line: of the accepted streams, as for `connect`. Suspends while it looks up a host name.
---@param host string|table|nil a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {backlog: integer?, reuse_port: boolean?, v6only: boolean?, max_line: integer?}?
---@return braid.net.Listener? listener
---@return braid.Error? err kind system (with `code`, the error number)
function M.listen(host, port, opts)
  local place = address.place_of("listen", LISTEN_OPTIONS, 0, host, port, opts)
  local addresses, err = address.addresses_of(place)
  if not addresses then return failed("listen", place, err) end
  local first, second = listen(place, addresses)
  if not first then return failed("listen", place, second) end
  local listener = setmetatable({
    fd = first:fd(), path = place.unix, _descriptor = first, _second = second, _place = place,
  }, Listener)
  if not place.unix then
    listener.host, listener.port = core.address_text(first:here())
    place.port = listener.port
  end
  return listener
end

errors.guard(Stream, Stream, stream.SELF_CHECKED)
errors.guard(Listener)

return M
