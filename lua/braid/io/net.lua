-- SPDX-License-Identifier: MIT
-- Sockets: streams over TCP and Unix sockets, as a client and as a server.
local address = require "braid.io.address"
local core = require "braid.core"
local errors = require "braid.errors"
local missing = require "braid.missing"
local proxy = require "braid.io.proxy"
local scope = require "braid.tasks.scope"
local stream = require "braid.io.stream"
local tls = require "braid.io.tls"
local udp = require "braid.io.udp"

local failed, time_left = address.failed, errors.time_left

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
  tls = "boolean|table",
}
local LISTEN_OPTIONS = {
  host = "string", port = "integer", unix = "string", backlog = "integer", reuse_port = "boolean", v6only = "boolean",
  max_line = "integer", tls = "table",
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
---@field private _host string? to which it was connected
---@field private _place string? the same, as a text with the port
local Stream = {}
for name, method in pairs(stream.Stream) do Stream[name] = method end
Stream._most = LONGEST
Stream.__name = "braid.net.stream"
Stream.__index = Stream

---Ends writing: the peer reads the end of the stream. This side can still read. With TLS it waits for a write that is
---in progress, and suspends.
---@param timeout number? seconds
---@return true? done
---@return braid.Error? err kinds: closed, system; with TLS also timeout, tls
function Stream:shutdown(timeout)
  local deadline = errors.deadline(1, "shutdown", timeout)
  if not self._descriptor:has_tls() then return self._descriptor:shutdown() end
  local turn <close>, err = self._turn:hold(timeout)
  if not turn then return nil, err end
  return self._descriptor:finish_tls(time_left(deadline))
end

---The address of the peer, also after the end of the connection.
---@return string host or path; "" for an unnamed Unix socket
---@return integer? port nil for a unix socket
function Stream:peer() return core.address_text(self._address) end

local function stream_of(descriptor, peer, max_line)
  local made = stream.new(descriptor, Stream)
  made._address, made._most = peer, max_line
  return made
end

-- ---- TLS ------------------------------------------------------------------------------------------------------------

---What both sides have agreed on. On a stream that a listener has accepted, does the handshake first if it was not done
---yet. Suspends.
---@return {version: string, cipher: string, alpn: string?, server_name: string?, resumed: boolean,
--- peer: {subject: string, issuer: string, names: string[], not_before: integer, not_after: integer, sha256: string}?}?
--- facts nil: this stream has no TLS. Times are seconds since 1970
---@return braid.Error? err kinds: tls, closed, system
function Stream:tls()
  if not self.fd then return nil, errors.new("closed", "stream:tls: it is closed") end
  if not self._descriptor:has_tls() then return nil end
  local _ <close> = self._turn:hold()
  local ok, err = self._descriptor:handshake()
  if not ok then return nil, err end
  return self._descriptor:tls()
end

-- Does the handshake. If it fails, or is cancelled, the stream is closed.
local function secure(made, context, settings, place, timeout)
  local ok, done, err = pcall(tls.start, made._descriptor, context, settings, place, timeout)
  if ok and done then return true end
  made:close()
  if not ok then core.rethrow(done) end
  return nil, err
end

local START_OPTIONS = { server = "boolean", timeout = "number" }

-- The options of TLS, without those of `start_tls` itself.
local function start_options(opts)
  local own, rest = {}, {}
  for name, value in pairs(opts) do (START_OPTIONS[name] and own or rest)[name] = value end
  errors.check_options(2, "start_tls", own, START_OPTIONS)
  errors.check_seconds(2, "start_tls", own, "timeout")
  if own.server == nil then own.server = rest.cert ~= nil end
  return own, rest
end

---Begins TLS on a stream that is open, as a client, or with `cert` as a server. All bytes of the peer must have been
---read: those that came before are an error. Nobody else may read or write meanwhile. If it fails, the stream is
---closed. Suspends.
---@param opts? {server: boolean?, timeout: number?} and options of `connect`'s or `listen`'s `tls`; server: as a server
--- (true) or a client (false), whatever `cert` says. The default of `server_name` is the host of `connect`
---@return true? done
---@return braid.Error? err kinds: tls (with `code`, `reason` and `peer`), timeout, closed, system
function Stream:start_tls(opts)
  if opts ~= nil and type(opts) ~= "table" then errors.check_options(1, "start_tls", opts, START_OPTIONS) end
  local own, rest = start_options(opts or {})
  local settings = own.server and tls.server("start_tls", rest) or tls.client("start_tls", rest, self._host)
  if self._descriptor:has_tls() then errors.misuse(1, "this stream has TLS already") end
  if self._descriptor:reading() or self._turn:locked() then
    errors.misuse(1, "another task uses this stream: it cannot begin TLS meanwhile")
  end
  if not self.fd then return nil, errors.new("closed", "stream:start_tls: it is closed") end
  local turn <close> = self._turn:hold()
  if self:_has_unread() then
    self:close()
    return nil, errors.new("tls", "stream:start_tls: bytes came before TLS began, and nobody has read them",
      { reason = "unread bytes" })
  end
  local context, err = tls.context(settings)
  if context then return secure(self, context, settings, self._place or self:peer(), own.timeout) end
  self:close()
  return nil, err
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
  local made = stream_of(descriptor, peer, place.max_line)
  made._host, made._place = place.host, address.text_of(place)
  return made
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
  if ok and opened then
    made._host, made._place = place.host, address.text_of(place)
    return made
  end
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
---host. opts.tls: true, or a table of its options: `verify` (default true), `ca_file` and `ca_path` (whom to trust;
---default: as the system does), `server_name` (the name, or address, of the certificate; default: the host), `cert` and
---`key` (PEM files, or texts, of an own certificate), `alpn` (list of protocols), `min_version` ("1.2" or "1.3"),
---`ciphers`, `resume` (default true: sessions are resumed), `close_notify` ("required", the default: an end without it
---is an error; or "optional"). Suspends.
---@param host string|table a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {timeout: number?, max_line: integer?, nodelay: boolean?, keepalive: boolean|integer?, bind: string?,
--- proxy: string?, tls: boolean|table|nil}?
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, system (with `code`, the error number), proxy (from an HTTP proxy with
--- `status`), closed and limit (by a proxy), tls (with `code`, `reason`, and the certificate of the `peer`)
function M.connect(host, port, opts)
  local place = address.place_of("connect", CONNECT_OPTIONS, 1, host, port, opts)
  local deadline = errors.deadline(1, "connect", place.timeout)
  if place.unix and (place.proxy or place.bind) then
    errors.misuse(1, "bad option '%s' of 'connect' (not for a unix socket)", place.proxy and "proxy" or "bind")
  end
  local through = place.proxy and proxy.parse(place.proxy)
  local settings = place.tls and tls.client("connect", place.tls, place.host)
  local context, made, err
  if settings then
    context, err = tls.context(settings)
    if not context then return failed("connect", place, err) end
  end
  if through then
    made, err = connect_through(through, place, deadline)
  else
    made, err = connect_to(place, deadline)
  end
  local done = made
  if made and settings then done, err = secure(made, context, settings, made._place, time_left(deadline)) end
  if done then return made end
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

-- With TLS its handshake is done when somebody reads or writes.
local function accepted(self, descriptor, peer)
  local settings = self._place.settings
  if settings then descriptor:start_tls((tls.context(settings))) end
  return stream_of(descriptor, peer, self._place.max_line)
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
    if descriptor then return accepted(self, descriptor, peer) end
    if not is_out_of_descriptors(peer) then return nil, peer end
    report(self, peer)
    local left = time_left(deadline)
    if left == 0 then return nil, errors.new("timeout", "listener:accept: timed out: no descriptor is free") end
    core.sleep(left and left < REST and left or REST)
  end
end

function Listener:__call()
  local made, err = self:accept()
  if err and err.kind ~= "closed" then error(err, 0) end
  return made
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
---@param opts {backlog: integer?, reuse_port: boolean?, v6only: boolean?, max_line: integer?, tls: table?}?
---@return braid.net.Listener? listener
---@return braid.Error? err kinds: system (with `code`, the error number), tls
function M.listen(host, port, opts)
  local place = address.place_of("listen", LISTEN_OPTIONS, 0, host, port, opts)
  place.settings = place.tls and tls.server("listen", place.tls)
  if place.settings then
    local context, problem = tls.context(place.settings)
    if not context then return failed("listen", place, problem) end
  end
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
missing.methods(Stream, "stream")
errors.guard(Listener)

return M
