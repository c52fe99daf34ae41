-- SPDX-License-Identifier: MIT
-- The options of app:serve: defaults and valid values.
local core = require "braid.core"
local errors = require "braid.errors"
local forwarded = require "braid.web.forwarded"
local listeners = require "braid.web.listeners"
local tls = require "braid.io.tls"

local M = {}

---@class braid.web.ServeOptions
---@field host string? name or address to listen on, default "127.0.0.1"
---@field port integer? default 8000; 0: any that is free
---@field listen string|string[]|nil where to listen, instead of host and port: "127.0.0.1:8000", "[::1]:8000",
---  "unix:/run/app.sock", "unix:@name" (an abstract socket)
---@field socket_activation boolean? listens at the sockets that the service manager has passed (systemd's LISTEN_FDS)
---@field user string? name or number: the user that serves; root alone can say so. The sockets, the certificate and its
---  key are opened before. With workers the supervisor stays what it was. Set `group`, too, unless it is the user's
---@field group string? name or number
---@field reload boolean|string[]|nil for development: serves with workers, and replaces them when a Lua file in the
---  folder of the application's file has changed, or any file in these further folders; only for `braid serve`
---@field workers integer? number of processes that serve, supervised by this one; default 1: this process serves itself
---@field worker_timeout number? seconds without a sign of life, after which a worker is replaced (a handler computes
---  without end); default 30
---@field max_body integer? bytes of a request's body, default 1 MiB; beyond: status 413
---@field max_header integer? bytes of a request's line and headers, default 8 KiB; beyond: status 431
---@field max_connections integer? beyond: status 503; default: as many as files may be open
---@field idle_timeout number? seconds without a request, after which a connection is closed, default 60; 0: never. A
--- body must come with at least 500 bytes per second
---@field request_timeout number? seconds after which a request without an answer gets status 504, and its handler is
---  cancelled; default 0: never
---@field grace number? seconds for running requests when the server is stopped; default 10
---@field access_log boolean|string|fun(line: string)|nil a line for each request: true: on stderr; a string: appended
--- to this file; a function: called with it; default false
---@field log boolean|string|fun(line: string)|nil the form of the lines: "text" or "json"; they go to stderr if
--- `access_log` does not say where. Or a function as for `access_log`
---@field tls {cert: string, key: string?, client_ca: string?, min_version: string?, ciphers: string?,
--- reload: boolean?}? as of braid.net.listen; cert and key may also be the PEM text itself: the server speaks HTTPS.
--- When the file of the certificate has changed, new connections have the new one a second later
---@field http2 boolean? whether clients may use HTTP/2: with TLS those that choose it, without TLS those that begin
---  with it; default: true if libnghttp2 is there
---@field proxies string|string[]|nil networks ("10.0.0.0/8"), addresses, or "unix" for clients of Unix sockets: what
---  they say of their clients is believed; see braid.web.proxies. Default: nobody is
---@field debug boolean? sends the traceback of a failing handler to the client; default false

M.known = {
  host = "string", port = "integer", listen = "string|table", socket_activation = "boolean", user = "string|integer",
  group = "string|integer", reload = "boolean|table", workers = "integer", max_body = "integer", max_header = "integer",
  max_connections = "integer", idle_timeout = "number", request_timeout = "number", grace = "number",
  worker_timeout = "number",
  access_log = "boolean|string|function", log = "boolean|string|function", tls = "table", debug = "boolean",
  http2 = "boolean", proxies = "string|table",
}

local defaults = {
  workers = 1, max_body = 1 << 20, max_header = 8 << 10, max_connections = 0,
  idle_timeout = 60, request_timeout = 0, grace = 10, worker_timeout = 30, access_log = false, debug = false,
}

local ranges = {
  port = { 0, 65535 },
  workers = { 1, 1024 },
  max_body = { 0, 1 << 40 },
  max_header = { 256, 1 << 24 },
  max_connections = { 0, 1 << 20 },
  idle_timeout = { 0, 1 << 30 },
  request_timeout = { 0, 1 << 30 },
  grace = { 0, math.huge },
  worker_timeout = { 2, math.huge },
}

--- The settings for TLS from the option `tls`.
---@param options braid.web.ServeOptions the result of read
---@param http2 boolean whether it is spoken
---@return table
function M.tls_settings(options, http2)
  local given = {}
  for name, value in pairs(options.tls) do given[name] = value end
  given.close_notify = "optional"
  given.alpn = given.alpn or http2 and { "h2", "http/1.1" } or { "http/1.1" }
  local settings = tls.server("serve", given)
  settings.plan.secret = options.tls_secret
  return settings
end

-- The user to become, as drop_user takes it.
local function identity(level, what, read)
  if not read.user and not read.group then return nil end
  local found, problem = core.find_user(read.user and tostring(read.user), read.group and tostring(read.group))
  if found then return found end
  errors.misuse(level + 1, "bad option '%s' to '%s' (%s: %s)", read.user and "user" or "group", what,
    read.user or read.group, problem)
end

--- Checks options and adds the defaults.
---@param level integer as for errors.misuse
---@param what string the function, for messages
---@param options braid.web.ServeOptions?
---@return braid.web.ServeOptions
function M.read(level, what, options)
  errors.check_options(level + 1, what, options, M.known)
  local read = {}
  for name, value in pairs(defaults) do read[name] = value end
  for name, value in pairs(options or {}) do
    local range = ranges[name]
    if range and not (value >= range[1] and value <= range[2]) then
      errors.misuse(level + 1, "option '%s' must be from %s to %s, not %s", name, range[1], range[2], value)
    end
    read[name] = M.known[name] == "integer" and math.tointeger(value) or value
  end
  if type(read.log) == "string" and read.log ~= "text" and read.log ~= "json" then
    errors.misuse(level + 1, "option 'log' must be \"text\", \"json\" or a function, not %q", read.log)
  end
  read.addresses = listeners.read(level + 1, what, options or {})
  read.identity = identity(level + 1, what, read)
  if read.proxies then read.proxies = forwarded.read(level + 1, what, read.proxies) end
  if read.tls then
    local known = {
      cert = "string", key = "string", client_ca = "string", min_version = "string", ciphers = "string",
      reload = "boolean", alpn = "table",
    }
    errors.check_options(level + 1, what, read.tls, known)
    if not read.tls.cert then errors.misuse(level + 1, "option 'tls.cert' is missing") end
    local file <close> = assert(io.open("/dev/urandom", "rb"))
    read.tls_secret = file:read(32) -- of the session tickets: all workers have the same
  end
  return read
end

return M
