-- SPDX-License-Identifier: MIT
-- The client of WebSockets (RFC 6455, with compression by RFC 7692).
local connection = require "braid.websocket.connection"
local core = require "braid.core"
local errors = require "braid.errors"
local handshake = require "braid.websocket.handshake"
local net = require "braid.io.net"
local streams = require "braid.io.stream"
local url_parser = require "braid.websocket.url"

local M = {}

local MOST_HEAD = 65536 -- bytes of the server's answer

local OPTIONS = {
  headers = "table", protocols = "table", max_message = "integer", ping_interval = "number", idle_timeout = "number",
  compress = "boolean", tls = "boolean|table", proxy = "string", timeout = "number",
}
local RANGES = { max_message = { 0, math.maxinteger }, ping_interval = { 0.001 }, idle_timeout = { 0.001 } }

local function check(opts)
  errors.check_options(1, "connect", opts, OPTIONS)
  errors.check_ranges(1, "connect", opts, RANGES)
  errors.check_seconds(1, "connect", opts, "timeout")
  handshake.check_protocols("connect", opts and opts.protocols)
end

-- The option of net.connect.
local function tls_of(url, tls)
  if url.scheme == "wss" and tls ~= false then return tls or true end
  if not tls and url.scheme == "ws" then return nil end
  errors.misuse(1, "bad option 'tls' of 'connect' (the URL says %s://)", url.scheme)
end

-- Closes the stream unless what comes of it is good.
local function keep(stream, ok, made, err)
  if ok and made then return made end
  stream:close()
  if not ok then core.rethrow(made) end
  return nil, err
end

local function failed(url, err)
  local fields = {}
  for name, value in pairs(err) do fields[name] = value end
  fields.kind, fields.message = nil, nil
  return nil, errors.new(err.kind, ("websocket.connect %s: %s"):format(url.shown, err.message), fields)
end

local function shake_hands(stream, head, key, opts, deadline)
  local sent, err = stream:write(head, errors.time_left(deadline))
  if not sent then return nil, err end
  local answer
  answer, err = stream:read_until("\r\n\r\n", MOST_HEAD, errors.time_left(deadline))
  if not answer then
    return nil, err or errors.new("closed", "the server has closed the connection without an answer")
  end
  local headers, terms = handshake.read(answer, key, opts)
  if not headers then return nil, terms end
  local descriptor, rest = streams.release(stream)
  local ws = connection.new(descriptor, rest, false, terms, opts)
  ws.headers, ws.protocol = headers, headers["Sec-WebSocket-Protocol"]
  return ws
end

---Connects: `braid.websocket.connect("wss://example.org/chat")`. Suspends.
---
---opts.headers: name -> value or list, sent with the handshake. opts.protocols: subprotocols of which the server may
---choose one. opts.max_message: bytes of a message that arrives, default 16 MiB; a longer one closes the connection
---(1009). opts.ping_interval: seconds between pings; a peer that does not answer in that time is closed (1011).
---opts.idle_timeout: seconds without a message in either direction, after which it is closed (1001). opts.compress:
---whether compression is offered, default true. opts.tls: as for net.connect. opts.proxy: as for net.connect.
---opts.timeout: seconds for everything up to the end of the handshake.
---@param url string "ws://" or "wss://"; `user:password@` before the host logs in
---@param opts? {headers: table?, protocols: string[]?, max_message: integer?, ping_interval: number?,
--- idle_timeout: number?, compress: boolean?, tls: boolean|table|nil, proxy: string?, timeout: number?}
---@return braid.WebSocket? ws
---@return braid.Error? err kinds: http (the server refuses: `status`, `headers`), timeout, system, tls, proxy, closed
function M.connect(url, opts)
  local place = url_parser.parse(url)
  check(opts)
  opts = opts or {}
  local head, key = handshake.request(place, opts)
  local deadline = opts.timeout and core.now() + opts.timeout
  local stream, err = net.connect(place.host, place.port, {
    timeout = opts.timeout, proxy = opts.proxy, tls = tls_of(place, opts.tls),
  })
  if not stream then return failed(place, err) end
  local ws
  ws, err = keep(stream, pcall(shake_hands, stream, head, key, opts, deadline))
  if ws then return ws end
  return failed(place, err)
end

return M
