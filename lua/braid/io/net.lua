-- SPDX-License-Identifier: MIT
-- Sockets: streams over TCP and Unix sockets, as a client and as a server.
local core = require "braid.core"
local errors = require "braid.errors"
local scope = require "braid.tasks.scope"
local stream = require "braid.io.stream"

local M = {}

local STAGGER = 0.25 -- seconds until the next address is tried in parallel (RFC 8305)
local PAUSE = 0.005 -- seconds until a Unix socket whose backlog is full is tried again
local LINE = 1024 -- default backlog: connections that may wait to be accepted

-- ---- arguments ------------------------------------------------------------------------------------------------------

local LONGEST = 1 << 20 -- default max_line: bytes of a line

local CONNECT_OPTIONS = {
  host = "string", port = "integer", unix = "string", timeout = "number", max_line = "integer",
}
local LISTEN_OPTIONS = {
  host = "string", port = "integer", unix = "string", backlog = "integer", reuse_port = "boolean", max_line = "integer",
}
local RANGES = { backlog = { 1, 0x7fffffff }, max_line = { 1, math.maxinteger } }

local function check_text(name, value)
  if value == "" or value:find("\0", 1, true) then
    errors.misuse(1, "bad argument '%s' (it is empty or contains a zero byte)", name)
  end
end

-- Checks (host, port, opts), or a single table, and makes one table of them.
local function place_of(what, known, host, port, opts)
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
    check_text("unix", place.unix)
    return place
  end
  if type(place.host) ~= "string" and (place.host ~= nil or known == CONNECT_OPTIONS) then
    errors.misuse(1, "bad argument 'host' to '%s' (a name or an address expected, got %s)", what,
      errors.described(place.host))
  end
  if place.host then check_text("host", place.host) end
  local number = type(place.port) == "number" and math.tointeger(place.port)
  if not number or number < (known == CONNECT_OPTIONS and 1 or 0) or number > 65535 then
    errors.misuse(1, "bad argument 'port' to '%s' (a number up to 65535 expected, got %s)", what,
      errors.described(place.port))
  end
  place.port = number
  return place
end

local function text_of(place)
  if place.unix then return place.unix end
  local host = place.host or "*"
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, place.port)
end

-- Returns nil and the error, with the address in its message.
local function failed(what, place, err)
  local text = err.message:gsub("^connect: ", ""):gsub("^listen: ", "")
  return nil, errors.new(err.kind, ("net.%s %s: %s"):format(what, text_of(place), text), { code = err.code })
end

local function time_left(deadline)
  if not deadline then return nil end
  local left = deadline - core.now()
  return left > 0 and left or 0
end

local function addresses_of(place, timeout)
  if not place.unix then return core.resolve(place.host ~= "*" and place.host or nil, place.port, timeout) end
  local address, err = core.unix_address(place.unix)
  if not address then return nil, err end
  return { address }
end

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

local function stream_of(descriptor, address, max_line)
  local made = stream.new(descriptor, Stream)
  made._address, made._most = address, max_line
  return made
end

-- ---- connecting -----------------------------------------------------------------------------------------------------

local function is_full(err) return err and err.kind == "system" and err.code == core.EAGAIN end

-- A Unix socket whose backlog is full fails at once, so it is tried again.
local function try_one(address, deadline)
  local descriptor, err = core.socket_connect(address, time_left(deadline))
  while is_full(err) do
    if time_left(deadline) == 0 then return nil, errors.new("timeout", "timed out") end
    core.sleep(PAUSE)
    descriptor, err = core.socket_connect(address, time_left(deadline))
  end
  return descriptor, descriptor and address or err
end

-- Tries all addresses. The next one starts a moment after the one before, or when that has failed. The first connection
-- is used.
local function try_all(addresses, deadline)
  local changed, trying = core.event_new(), 0
  local winner, where, failure
  local function try(address)
    local descriptor, err = try_one(address, deadline)
    trying = trying - 1
    if not descriptor then
      failure = failure or err
    elseif winner then
      descriptor:close()
    else
      winner, where = descriptor, address
    end
    changed:set()
  end
  scope.scope(function(tasks)
    for _, address in ipairs(addresses) do
      trying = trying + 1
      changed:clear()
      tasks:spawn(try, address)
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

---Connects: `net.connect("example.org", 80)`, `net.connect{ unix = "/run/some.sock" }`. Tries all the addresses.
---opts.timeout: seconds for everything; default: as long as the system tries. opts.max_line: the longest line that the
---stream reads, in bytes; default 1 MiB. Suspends.
---@param host string|table a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {timeout: number?, max_line: integer?}?
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, system (with `code`, the error number)
function M.connect(host, port, opts)
  local place = place_of("connect", CONNECT_OPTIONS, host, port, opts)
  local deadline = errors.deadline(1, "connect", place.timeout)
  local addresses, err = addresses_of(place, place.timeout)
  if not addresses then return failed("connect", place, err) end
  local descriptor, address
  if #addresses == 1 then
    descriptor, address = try_one(addresses[1], deadline)
  else
    descriptor, address = try_all(addresses, deadline)
  end
  if not descriptor then return failed("connect", place, address) end
  return stream_of(descriptor, address, place.max_line)
end

-- ---- listening ------------------------------------------------------------------------------------------------------

---A socket that accepts connections. A `<close>` variable is closed at the end of its block.
---`for stream in listener do` accepts one connection after the other until the listener is closed; it raises other
---errors.
---@class braid.net.Listener
---@field host string? the address; nil for a unix socket
---@field port integer? the port, also if 0 was given
---@field path string? of a Unix socket; the file is removed when the listener is closed
---@field fd integer? the descriptor; nil after close
---@field private _descriptor userdata
---@field private _max_line integer? of the accepted streams
local Listener = { __name = "braid.net.listener" }
Listener.__index = Listener

---Accepts the next connection. Suspends.
---@param timeout number? seconds
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, closed, system (no descriptor is left)
function Listener:accept(timeout)
  local descriptor, address = self._descriptor:accept(timeout)
  if not descriptor then return nil, address end
  return stream_of(descriptor, address, self._max_line)
end

function Listener:__call()
  local accepted, err = self:accept()
  if err and err.kind ~= "closed" then error(err, 0) end
  return accepted
end

---Closes it at once, without waiting. Waiting accepts end with kind "closed". Accepted connections stay open. Does
---nothing if it is closed.
function Listener:close()
  if self.fd and self.path then os.remove(self.path) end
  self._descriptor:close()
  self.fd = nil
end

Listener.__close = Listener.close

---Listens: `net.listen("127.0.0.1", 0)`, `net.listen{ unix = "/run/some.sock" }`. Host nil or "*" means all addresses
---of this machine, port 0 a free one. A Unix socket's file at which nobody listens any more is replaced. opts.backlog:
---connections that may wait to be accepted, default 1024. opts.reuse_port: other sockets with this option may listen at
---the same port, and the system spreads the connections. opts.max_line: of the accepted streams, as for `connect`.
---Suspends while it looks up a host name.
---@param host string|table|nil a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {backlog: integer?, reuse_port: boolean?, max_line: integer?}?
---@return braid.net.Listener? listener
---@return braid.Error? err kind system (with `code`, the error number)
function M.listen(host, port, opts)
  local place = place_of("listen", LISTEN_OPTIONS, host, port, opts)
  local addresses, err = addresses_of(place)
  if not addresses then return failed("listen", place, err) end
  local descriptor
  descriptor, err = core.socket_listen(addresses[1], place.backlog or LINE, place.reuse_port)
  if not descriptor then return failed("listen", place, err) end
  local listener = setmetatable({
    fd = descriptor:fd(), path = place.unix, _descriptor = descriptor, _max_line = place.max_line,
  }, Listener)
  if not place.unix then listener.host, listener.port = core.address_text(descriptor:here()) end
  return listener
end

errors.guard(Stream, Stream, stream.SELF_CHECKED)
errors.guard(Listener)

return M
